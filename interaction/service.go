package interaction

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"slices"
	"sync"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/profiles"
	"ingle/search"
	"ingle/store"
	"ingle/terminology"
)

// Config is what a Service needs. Database, Registry and Definitions must be
// there; a zero value elsewhere means the default.
type Config struct {
	Database    *store.DB
	Registry    *search.Registry
	Definitions *fhir.Definitions
	Validator   Validator // what is checked before a resource is stored; default the base definitions
	// Replaceable keeps a stored resource from being replaced by next, or deleted
	// where that is the zero Node, by an error; nil for none. It is asked only for
	// who may steer the server by such a resource (authz.Scope.MaySteer): its answer
	// may rest on what others do not see. It must not need a connection of the
	// store's own pool.
	Replaceable func(ctx context.Context, old *store.Resource, next fhir.Node) error

	// UpdateCreate lets a PUT to an unknown id create the resource.
	UpdateCreate bool
	// ClientIDs tells which ids a PUT may create: ClientIDsAny, -Alphanumeric or -None.
	ClientIDs string
	// Lenient is the handling where the client's Prefer says nothing: unknown
	// search parameters are left out and reported. Default: strict.
	Lenient bool

	DeleteLimit   int // matches of a conditional delete; default 100, negative: it is switched off
	BundleEntries int // entries of a batch or transaction; default 5,000
	Search        search.Limits
	Limits        fhir.Limits // of a resource
	BundleLimits  fhir.Limits // of a Bundle; default 3 million values, the rest as Limits

	// CheckReferences and CheckReferrers repeat what the store was opened with,
	// for the CapabilityStatement.
	CheckReferences, CheckReferrers bool

	// Return is what a write answers with where Prefer does not say: minimal,
	// representation or OperationOutcome; default representation. The writes of
	// a Bundle answer minimal.
	Return string
	// Total is Bundle.total of a search where _total does not say: none,
	// estimate or accurate; default none.
	Total string
	// NotModifiedOnPut answers a PUT with If-None-Match: * on a resource that
	// exists by 304 and not by 412, so that a transaction goes on.
	NotModifiedOnPut bool
	// Indexed is told the time of each resource's index rows; nil for nobody.
	Indexed func(took time.Duration)

	// Failed is told what went wrong inside the server while it worked on an answer
	// that is fetched later; nil for nobody.
	Failed func(err error)

	// Terminology answers metadata?mode=terminology and, with TerminologySource,
	// the operations and search modifiers that ask for sets of codes; nil: there are none.
	Terminology       *terminology.Service
	TerminologySource TerminologySource

	Labels authz.Labels // the rules of security labels

	Software Software
	Security string // what the CapabilityStatement says of authorization; "" for open
	// OAuth are the endpoints of the authorization server, for the
	// CapabilityStatement: authorize, token, register, manage, introspect and
	// revoke, by that name (SMART App Launch 1.0, oauth-uris).
	OAuth map[string]string
	CORS  bool // browser applications may call, for the CapabilityStatement
	// XML tells that the encoder knows XML, for the CapabilityStatement.
	XML bool
}

// Software is the program as the CapabilityStatement names it.
type Software struct {
	Name, Version string
	Built         time.Time
}

// Values of Config.ClientIDs.
const (
	ClientIDsAny          = "any"
	ClientIDsAlphanumeric = "alphanumeric" // not of digits alone
	ClientIDsNone         = "none"
)

// Service runs interactions. It is safe for concurrent use.
type Service struct {
	cfg        Config
	db         *store.DB
	registry   *search.Registry
	operations map[string][]*Operation // by name
	seal       cipher.AEAD
	format     Validator // of the JSON format alone
	later      later

	capabilityLock sync.Mutex
	capability     *capabilityParts
}

// New makes a Service with $meta, $meta-add, $meta-delete and $export. Other operations
// are registered before it serves.
func New(cfg Config) (*Service, error) {
	format, err := baseValidator(cfg.Definitions, profiles.Off)
	if err != nil {
		return nil, err
	}
	if cfg.Validator == nil {
		if cfg.Validator, err = baseValidator(cfg.Definitions, profiles.Enforce); err != nil {
			return nil, err
		}
	}
	if cfg.ClientIDs == "" {
		cfg.ClientIDs = ClientIDsAny
	}
	if cfg.DeleteLimit == 0 {
		cfg.DeleteLimit = 100
	}
	if cfg.BundleEntries == 0 {
		cfg.BundleEntries = 5000
	}
	if cfg.BundleLimits == (fhir.Limits{}) {
		cfg.BundleLimits = cfg.Limits
		cfg.BundleLimits.Nodes = 3_000_000
		if cfg.BundleLimits.Depth == 0 {
			cfg.BundleLimits.Depth = 64
		}
		cfg.BundleLimits.Depth += 4 // of the Bundle around its resources
	}
	if cfg.Software.Built.IsZero() {
		cfg.Software.Built = time.Now()
	}
	cfg.Software.Built = cfg.Software.Built.UTC().Truncate(time.Second)
	if cfg.Software.Name == "" {
		cfg.Software.Name = "Ingle"
	}
	block, err := aes.NewCipher(cfg.Database.CursorKey())
	if err != nil {
		return nil, fmt.Errorf("the cursor key: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("the cursor key: %w", err)
	}
	s := &Service{cfg: cfg, db: cfg.Database, registry: cfg.Registry, operations: map[string][]*Operation{}, seal: seal, format: format, later: newLater()}
	for _, op := range slices.Concat(s.metaOperations(), s.exportOperations(), s.everythingOperations()) {
		s.Register(op)
	}
	return s, nil
}

// reader is what an interaction reads through: a Session, or the Tx of a
// transaction Bundle.
type reader interface {
	Read(ctx context.Context, typ, id string) (*store.Resource, error)
	VRead(ctx context.Context, typ, id string, version int) (*store.Resource, error)
	History(ctx context.Context, q store.HistoryQuery) (*store.HistoryPage, error)
	Search(ctx context.Context, q *search.Query) (*store.SearchPage, error)
	ExplainSearch(ctx context.Context, q *search.Query) ([]store.Explanation, error)
	Match(ctx context.Context, q *search.Query, limit int) ([]*store.Resource, error)
}

// Do runs one interaction for the caller that the session is bound to.
func (s *Service) Do(ctx context.Context, session *store.Session, req *Request) *Response {
	resp, err := s.do(ctx, session, req)
	if err != nil {
		return Failed(err)
	}
	return resp
}

func (s *Service) do(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	if err := answerable(session.Scope(), req); err != nil {
		return nil, err
	}
	switch req.Kind {
	case Create:
		return s.create(ctx, session, req)
	case Update:
		return s.update(ctx, session, req)
	case Patch:
		return s.patch(ctx, session, req)
	case Delete:
		return s.delete(ctx, session, req)
	case Batch:
		return s.bundle(ctx, session, req)
	case Operate:
		return s.operate(ctx, session, req)
	case Capabilities:
		return s.capabilities(ctx, req)
	case AsyncStatus:
		return s.asyncStatus(ctx, session, req)
	case AsyncFile:
		return s.exportFile(ctx, session, req)
	case AsyncCancel:
		return s.asyncCancel(ctx, session, req)
	case SearchType, SearchSystem:
		if req.Prefer.Async && req.mayWait() {
			return s.searchAsync(ctx, session, req)
		}
	}
	return s.readOnly(ctx, session, session.Scope().Principal(), req)
}

// readOnly runs the interactions that a transaction may hold as GET entries.
func (s *Service) readOnly(ctx context.Context, r reader, principal string, req *Request) (*Response, error) {
	switch req.Kind {
	case Read:
		return s.read(ctx, r, req)
	case VRead:
		return s.vread(ctx, r, req)
	case HistoryInstance, HistoryType, HistorySystem:
		return s.history(ctx, r, principal, req)
	case SearchType, SearchSystem:
		return s.search(ctx, r, principal, req)
	case Capabilities:
		return s.capabilities(ctx, req)
	}
	return nil, fmt.Errorf("the interaction %v is not one that reads", req.Kind)
}

// lenient tells how unknown parameters are handled.
func (s *Service) lenient(req *Request) bool {
	switch req.Prefer.Handling {
	case "lenient":
		return true
	case "strict":
		return false
	}
	return s.cfg.Lenient
}
