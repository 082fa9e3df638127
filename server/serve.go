package server

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/interaction"
)

// serveFHIR answers one request below the FHIR base.
func (s *Server) serveFHIR(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	resp, err := s.handle(w, r, x)
	if err != nil {
		resp = interaction.Failed(err)
		for _, c := range s.cfg.Resolver.Challenges(err) {
			w.Header().Add("WWW-Authenticate", c)
		}
	}
	if resp.Err != nil {
		x.err = resp.Err
	}
	x.rows, x.made, x.entries = resp.Rows, resp.Made(), resp.Entries
	s.respond(w, r, x, resp)
}

// handle runs a request up to its answer.
func (s *Server) handle(w http.ResponseWriter, r *http.Request, x *exchange) (*interaction.Response, error) {
	if len(r.RequestURI) > s.cfg.URLBytes {
		return nil, fhir.Errorf(http.StatusRequestURITooLong, fhir.CodeTooLong, "the URL is longer than %d bytes; a search can be sent by POST to _search", s.cfg.URLBytes)
	}
	x.base = s.baseURL(r)
	path := strings.TrimPrefix(r.URL.EscapedPath(), s.cfg.BasePath)
	req, routeErr := s.cfg.Service.Resolve(r.Method, path)
	if routeErr == nil {
		x.req = req
	}
	ctx, scope, err := s.authenticate(r, x)
	if paced := s.pace(w, r, x.principal); paced != nil {
		return nil, paced
	}
	if err != nil {
		return nil, err
	}
	if routeErr != nil {
		if fe := fhir.AsError(routeErr); r.Method == http.MethodOptions && fe != nil && fe.Status == http.StatusMethodNotAllowed {
			return &interaction.Response{Status: http.StatusNoContent, Allow: append(fe.Allow, http.MethodOptions)}, nil
		}
		return nil, routeErr
	}
	params, err := interaction.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	req.SetQuery(params)
	if x.format, err = s.negotiate(r, req); err != nil {
		return nil, err
	}
	s.headers(r, x, req)
	limit := s.cfg.RequestTime
	if req.Kind == interaction.Batch || req.Kind == interaction.Operate {
		limit = s.cfg.BundleTime
	}
	forget, err := s.content(w, r, req)
	defer forget()
	if err != nil {
		return nil, err
	}
	release, err := s.admit(ctx, req) // not while a slow client sends
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	x.scope = scope
	return s.cfg.Service.Do(ctx, s.cfg.Database.As(scope), req), nil
}

// authenticate finds out who calls. The CapabilityStatement is for everybody,
// also while an issuer or Arborist is down (R4 security.html: clients need it
// to learn how to authenticate).
func (s *Server) authenticate(r *http.Request, x *exchange) (context.Context, authz.Scope, error) {
	if x.req != nil && x.req.Kind == interaction.Capabilities {
		return r.Context(), authz.Scope{}, nil
	}
	c := authz.Credentials{Authorization: r.Header.Values("Authorization")}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c.Certificate = r.TLS.VerifiedChains[0][0]
	}
	scope, err := s.cfg.Resolver.Resolve(r.Context(), c)
	if err == nil {
		x.principal = scope.Principal()
	}
	return r.Context(), scope, err
}

// headers takes what an interaction needs out of the headers.
func (s *Server) headers(r *http.Request, x *exchange, req *interaction.Request) {
	req.BaseURL = x.base
	req.AcceptLanguage = r.Header.Get("Accept-Language")
	req.IfMatch = r.Header.Get("If-Match")
	req.IfNoneMatch = r.Header.Get("If-None-Match")
	req.IfNoneExist = r.Header.Get("If-None-Exist")
	if t, err := http.ParseTime(r.Header.Get("If-Modified-Since")); err == nil {
		req.IfModifiedSince = t
	}
	req.ResourcePath = r.Header.Get(authz.PathHeader)
	req.SecurityContext = r.Header.Get("X-Security-Context")
	req.Prefer = interaction.ParsePrefer(r.Header.Values("Prefer"))
	if x.format.raw && (req.Kind == interaction.Read || req.Kind == interaction.VRead) {
		req.Raw = true
	}
}

// content checks the type of the body, reads it and makes it JSON. release gives
// back its memory; it is never nil.
func (s *Server) content(w http.ResponseWriter, r *http.Request, req *interaction.Request) (release func(), err error) {
	release = func() {}
	form := r.Method == http.MethodPost && (req.Kind == interaction.SearchType || req.Kind == interaction.SearchSystem)
	switch req.Kind {
	case interaction.Create, interaction.Update, interaction.Patch, interaction.Batch, interaction.Operate:
	default:
		if !form {
			return release, nil // a body of GET or DELETE means nothing
		}
	}
	media, err := contentType(r)
	if err != nil {
		return release, err
	}
	req.ContentType = media
	resource := req.Kind == interaction.Create || req.Kind == interaction.Update || req.Kind == interaction.Batch
	encoding := s.encodingOf(media)
	switch {
	case form:
		if media != "application/x-www-form-urlencoded" && (media != "" || r.ContentLength != 0) {
			return release, fhir.Errorf(http.StatusUnsupportedMediaType, fhir.CodeNotSupported, "the parameters of _search are sent as application/x-www-form-urlencoded, not %q", media)
		}
	case !resource, isJSON(media), media == "", encoding != nil:
	case req.Type == "Binary" && !isXML(media):
		req.Raw = true
	default:
		return release, unsupported(fmt.Sprintf("a body of type %q is not supported here", media))
	}
	body, release, err := s.readBody(w, r, s.bodyLimit(req))
	if err != nil {
		return release, err
	}
	if form {
		params, err := interaction.ParseQuery(string(body))
		req.AddForm(params)
		return release, err
	}
	if encoding != nil && len(body) > 0 {
		if body, err = encoding.Decode(body); err != nil {
			return release, err
		}
		req.ContentType = fhirJSON
	}
	req.Body = body
	return release, nil
}

// admit lets a write in if there is a place for it, after a short wait.
func (s *Server) admit(ctx context.Context, req *interaction.Request) (release func(), err error) {
	if !req.Kind.Writes() && (req.Operation == nil || !req.Operation.AffectsState) {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.QueueTime)
	defer cancel()
	if err := s.writes.Acquire(ctx, 1); err != nil {
		e := fhir.Errorf(http.StatusServiceUnavailable, fhir.CodeThrottled, "the server has more writes in hand than it can do; try again")
		e.RetryAfter = 1
		return nil, e
	}
	return func() { s.writes.Release(1) }, nil
}

// guard is the outermost handler: request id, log, metrics, panics.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{id: requestID(r), start: time.Now(), format: format{pretty: s.cfg.Pretty}, path: "other"}
		x.pace = func(w http.ResponseWriter, principal string) error { return s.pace(w, r, principal) }
		rec := &recorder{ResponseWriter: w}
		h := rec.Header()
		h.Set("X-Request-Id", x.id)
		h.Set("X-Content-Type-Options", "nosniff")
		if r.TLS != nil { // a browser that came so once is to come so again
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		s.metrics.inFlight(1)
		defer s.metrics.inFlight(-1)
		defer func() {
			if p := recover(); p != nil {
				if p != http.ErrAbortHandler {
					x.err = fmt.Errorf("panic: %v", p)
					s.cfg.Log.Error("a request panicked", "request", x.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				}
				if rec.status == 0 {
					for name := range h { // what was meant for another answer
						if name != "X-Request-Id" && name != "X-Content-Type-Options" {
							h.Del(name)
						}
					}
					s.respond(rec, r, x, interaction.Failed(x.err))
					s.finished(r, rec, x)
					return
				}
				s.finished(r, rec, x)
				panic(http.ErrAbortHandler) // cut off what was begun
			}
			s.finished(r, rec, x)
		}()
		next.ServeHTTP(rec, r.WithContext(withExchange(r.Context(), x)))
	})
}

type exchangeKey struct{}

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// exchangeOf returns the exchange that guard began.
func exchangeOf(r *http.Request) *exchange {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		x = &exchange{id: requestID(r), start: time.Now()}
	}
	return x
}
