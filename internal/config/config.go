// Package config is Ingle's whole configuration: one struct, filled from defaults, then a YAML file, then environment
// variables, checked before anything starts.
//
// A setting has one path. `limits.search_time` in the file
//
//	limits:
//	  search_time: 5s
//
// is INGLE_LIMITS_SEARCH_TIME in the environment. Lists are comma-separated in the environment; lists of mappings and
// maps are written there as YAML or JSON on one line. A secret can be given as a file's name instead, under its name
// with _FILE (in YAML: _file) behind it, as container platforms mount secrets.
//
// Unknown names are errors, and Load reports all faults at once. A Config prints without its secrets.
//
// The struct tags are the reference: key (path element), default, doc, secret ("true", or "url" when only a password
// inside is secret), oneof (the values allowed, separated by |), min and max. docs/configuration.md is generated
// from them. A setting with the tag pending has its place and its name but nothing that obeys it yet: it is refused,
// and not in the reference, until the tag goes away.
package config

//go:generate go run ./reference ../../docs/configuration.md

import (
	"net/netip"
	"time"
)

// Config is everything that can be set.
type Config struct {
	Listen         string         `key:"listen" default:"127.0.0.1:8080" doc:"Address and port to listen on; the container image sets :8080."`
	BasePath       string         `key:"base_path" default:"/fhir" doc:"Path of the FHIR base below the listener."`
	PublicURL      string         `key:"public_url" doc:"FHIR base URL in answers, such as https://fhir.example.org/fhir. Empty: from the request, see trusted_proxies."`
	TrustedProxies []netip.Prefix `key:"trusted_proxies" doc:"Networks whose Forwarded and X-Forwarded-* headers are believed, such as 10.0.0.0/8."`
	DataDir        string         `key:"data_dir" default:"./data" doc:"Folder for what Ingle keeps on this machine: the private PostgreSQL."`
	PostgresBin    string         `key:"postgres_bin" doc:"Folder of the programs postgres and initdb for the private PostgreSQL. Empty: looked for."`
	Migrate        bool           `key:"migrate" default:"true" doc:"Bring the schema up to date at start. When off, an outdated schema stops the start."`
	Demo           bool           `key:"demo" default:"false" doc:"Load the demo cohort at start unless it is there. make run sets it."`
	Packages       []string       `key:"packages" doc:"FHIR packages (.tgz) to load at start: files, or folders of them."`

	Database    Database    `key:"database" doc:"Where PostgreSQL is."`
	Tenants     Tenants     `key:"tenants" doc:"Servers for several organizations in one process, each on a database of its own."`
	TLS         TLS         `key:"tls" doc:"HTTPS by Ingle itself; behind a proxy that does it, leave these empty."`
	Auth        Auth        `key:"auth" doc:"How callers are known and what decides what they may do."`
	CORS        CORS        `key:"cors" doc:"What browser applications of other origins may do."`
	Access      Access      `key:"access" doc:"Who may call at all, how often, and the audit trail."`
	Interaction Interaction `key:"interaction" doc:"The choices that FHIR leaves to servers."`
	Search      Search      `key:"search" doc:"Defaults of searches."`
	Validation  Validation  `key:"validation" doc:"How exactly resources are checked before they are stored."`
	Terminology Terminology `key:"terminology" doc:"Where the meaning of codes comes from."`
	Limits      Limits      `key:"limits" doc:"What one request, or all of them together, can cost. Each is answered with an OperationOutcome."`
	Log         Log         `key:"log" doc:"What is written to standard error."`
	Metrics     Metrics     `key:"metrics" doc:"What Ingle tells about itself in numbers."`
}

// Database says where PostgreSQL is.
type Database struct {
	URL         string        `key:"url" secret:"url" doc:"Connection URL of PostgreSQL 14 or newer, postgres://user:password@host:5432/database. Empty: Ingle runs a private server under data_dir."`
	MigrateURL  string        `key:"migrate_url" secret:"url" doc:"Connection URL of the role that may change the schema. Empty: the same as url."`
	PoolSize    int           `key:"pool_size" default:"0" min:"0" max:"1000" doc:"Connections kept open at most; 0 means four for each processor, at least 8."`
	ConnectTime time.Duration `key:"connect_time" default:"30s" min:"1s" max:"10m" doc:"How long the start waits for the database to answer."`
}

// Tenants are further FHIR bases, each on its own database.
type Tenants struct {
	Named  map[string]Tenant `key:"named" doc:"The tenants by name: small letters, digits and hyphens. The FHIR base of acme is base_path/acme."`
	Header string            `key:"header" default:"X-FHIR-TENANT-ID" doc:"Header that names a tenant in requests to base_path itself; Name:part takes part out of a header of the form part=value;…. Empty: only the path does."`
	Claim  string            `key:"claim" doc:"Path of the claim that names the tenants a token is for. A token without it is for base_path itself. Needed unless auth.mode=open."`
}

// Tenant is one of them.
type Tenant struct {
	DatabaseURL string `key:"database_url" secret:"url" doc:"Its database, shared with nobody. May be empty where Ingle runs a private PostgreSQL, which then makes one."`
}

// TLS lets Ingle itself speak HTTPS.
type TLS struct {
	CertFile      string `key:"cert_file" doc:"Certificate chain (PEM). Empty: plain HTTP. The files are read again when they change."`
	KeyFile       string `key:"key_file" doc:"Key of the certificate (PEM)."`
	ClientCAFile  string `key:"client_ca_file" doc:"Authorities (PEM) whose client certificates are accepted, see auth.certificates."`
	RequireClient bool   `key:"require_client" default:"false" doc:"Refuse connections without such a certificate. Otherwise a token will do as well."`
}

// CORS is what browsers of other origins may do.
type CORS struct {
	Origins []string      `key:"origins" doc:"Origins that browser applications may call from, such as https://app.example.org; * for all, which only auth.mode=open allows."`
	MaxAge  time.Duration `key:"max_age" default:"10m" min:"0s" max:"24h" doc:"How long a browser may keep the answer to a preflight."`
}

// Access keeps callers out or slows them down before anything else looks at the request.
type Access struct {
	AllowIPs []netip.Prefix `key:"allow_ips" doc:"Only these networks may call. Empty: all."`
	DenyIPs  []netip.Prefix `key:"deny_ips" doc:"These networks may not call, even if allowed above."`
	Rate     int            `key:"rate" default:"0" min:"0" max:"1000000" doc:"Requests a second for each principal (each address without one); 0 means no limit."`
	Burst    int            `key:"burst" default:"0" min:"0" max:"1000000" doc:"Requests that may come at once above the rate; 0 means twice the rate."`
	Quota    int            `key:"quota" default:"0" min:"0" max:"1000000000" doc:"Requests a day (UTC) for each principal (each address without one); 0 means no limit."`
	Plans    []Plan         `key:"plans" doc:"Other limits for some principals."`
	Audit    bool           `key:"audit" default:"true" doc:"Write an audit line for every FHIR interaction and every request of administrators: who, what, which reference, for whom, outcome; never content."`
}

// Plan is what some principals may ask for.
type Plan struct {
	Principals []string `key:"principals" doc:"Such as user:ann, client:loader or basic:loader, as the audit trail names them."`
	Rate       int      `key:"rate" default:"0" min:"0" max:"1000000" doc:"Requests a second; 0 means no limit."`
	Burst      int      `key:"burst" default:"0" min:"0" max:"1000000" doc:"Requests at once; 0 means twice the rate."`
	Quota      int      `key:"quota" default:"0" min:"0" max:"1000000000" doc:"Requests a day (UTC); 0 means no limit."`
}

// Interaction switches the choices that FHIR leaves to servers.
type Interaction struct {
	UpdateCreate      bool   `key:"update_create" default:"true" doc:"PUT to an unknown id creates the resource; otherwise it is refused with 405."`
	ClientIDs         string `key:"client_ids" default:"any" oneof:"any|alphanumeric|none" doc:"Ids that such a PUT may bring: any, alphanumeric (not of digits alone), none."`
	IntegrityOnWrite  bool   `key:"integrity_on_write" default:"false" doc:"Refuse literal references to resources of this server that do not exist."`
	IntegrityOnDelete bool   `key:"integrity_on_delete" default:"true" doc:"Refuse to delete what other resources refer to (409 names a referrer)."`
	ConditionalDelete int    `key:"conditional_delete" default:"100" min:"0" max:"100000" doc:"Matches that one conditional delete may remove; 0 switches conditional delete off, 1 allows single matches only."`
	NotModifiedOnPut  bool   `key:"not_modified_on_put" default:"false" doc:"PUT with If-None-Match: * on an existing resource answers 304 instead of 412, so that a transaction goes on."`
	Return            string `key:"return" default:"representation" oneof:"minimal|representation|OperationOutcome" doc:"What writes answer when Prefer: return is absent."`
	Pretty            bool   `key:"pretty" default:"false" doc:"Indent answers when _pretty is absent."`
}

// Search sets the defaults of searches.
type Search struct {
	Handling string                `key:"handling" default:"strict" oneof:"strict|lenient" doc:"Unknown parameters are refused (strict) or ignored (lenient) when Prefer: handling is absent."`
	Count    int                   `key:"count" default:"50" min:"1" max:"10000" doc:"Matches on a page when _count is absent."`
	CountMax int                   `key:"count_max" default:"1000" min:"1" max:"10000" doc:"Matches on a page at most; a larger _count is lowered to it."`
	Total    string                `key:"total" default:"none" oneof:"none|estimate|accurate" doc:"Bundle.total when _total is absent."`
	FullText bool                  `key:"full_text" default:"false" doc:"Index the words of every resource for _text, _content and :text. What is stored already is indexed once the server runs."`
	Types    map[string]SearchType `key:"types" doc:"What searches of a resource type may use, by type."`
}

// SearchType narrows the searches of one resource type. Absent lists allow everything.
type SearchType struct {
	Parameters   []string `key:"parameters" doc:"Codes of the search parameters allowed."`
	Combinations []string `key:"combinations" doc:"Sets of parameters allowed together, such as patient+category; an empty text allows a search without any."`
	Includes     []string `key:"includes" doc:"Values of _include allowed."`
	RevIncludes  []string `key:"revincludes" doc:"Values of _revinclude allowed."`
}

// Validation says how exactly resources are checked before they are stored.
type Validation struct {
	Mode       string                    `key:"mode" default:"enforce" oneof:"off|warn|enforce" doc:"Base FHIR R4 and the profiles that a resource claims: off (only the JSON format is checked: names, kinds and formats of what is there), warn (stored if of that format; issues answered when asked for), enforce (refused)."`
	FailFast   bool                      `key:"fail_fast" default:"false" doc:"Stop at the first error of a resource instead of collecting all."`
	MaxIssues  int                       `key:"max_issues" default:"500" min:"1" max:"100000" doc:"Issues reported for one resource."`
	Resolve    bool                      `key:"resolve" default:"true" doc:"resolve() in constraints, and the profiles that a reference asks of its target, look at what is stored, as the caller may see it. Off: only at what is in the same request."`
	VitalSigns bool                      `key:"vital_signs" default:"false" doc:"Check Observations with a vital sign's code against its profile, claimed or not."`
	Australian bool                      `key:"australian_identifiers" default:"false" doc:"Check the digits of Australian Medicare, provider and healthcare identifiers."`
	Malformed  string                    `key:"malformed_codes" default:"warn" oneof:"warn|refuse" doc:"SNOMED CT codes that cannot be codes: a warning, or refused."`
	Examples   string                    `key:"example_urls" default:"warn" oneof:"warn|refuse" doc:"Unknown extensions with an example URL (http://example.org/…): a warning, or refused."`
	NCPI       bool                      `key:"ncpi" default:"false" doc:"Every resource of a type that the NCPI implementation guide profiles must claim one of its profiles."`
	Projects   []string                  `key:"projects" doc:"Resource paths of the projects that ncpi and at_least_one bind, with all below them, by the security labels of a resource. Empty: all."`
	Types      map[string]ValidationType `key:"types" doc:"Rules for a resource type, by type; those of Resource are for all types without an entry of their own."`
}

// ValidationType is what one resource type has to obey beyond the general rules.
type ValidationType struct {
	Mode            string            `key:"mode" oneof:"|off|warn|enforce" doc:"Overrides validation.mode."`
	AtLeastOne      []string          `key:"at_least_one" doc:"Canonical URLs (version with |) of which a resource must claim one."`
	NotAllowed      []string          `key:"not_allowed" doc:"Canonical URLs that a resource must not claim."`
	AllowUnknown    bool              `key:"allow_unknown" default:"true" doc:"Whether profiles that the server does not know may be claimed."`
	DefaultVersions map[string]string `key:"default_versions" doc:"Version for claims without one, by canonical URL."`
}

// Log is where and how Ingle tells what happens. Logs go to standard error.
type Log struct {
	Level  string `key:"level" default:"info" oneof:"debug|info|warn|error" doc:"The least important messages that are written; audit lines always are."`
	Format string `key:"format" default:"auto" oneof:"auto|text|json" doc:"text, json, or auto: text on a terminal, else json."`
}

// Metrics is what Ingle tells about itself in numbers.
type Metrics struct {
	Enabled bool   `key:"enabled" default:"true" doc:"Serve /metrics for Prometheus."`
	Listen  string `key:"listen" doc:"Address of a listener of its own for /metrics and profiling. Empty: /metrics on the main listener, no profiling."`
}
