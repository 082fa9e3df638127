package authz

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ingle/fhir"
	"ingle/internal/outbound"
)

// errNoIntrospection says that an issuer could not be asked about a token.
var errNoIntrospection = errors.New("the issuer cannot be asked about the token")

// introspector asks an issuer whether a token is good (RFC 7662): the only way
// to know for one that is no JWT, and to learn that one was revoked.
type introspector struct {
	is     Issuer
	client *http.Client
	places chan struct{} // a flood of invented tokens must not become one of questions
}

func newIntrospector(is Issuer, out *outbound.Guard) (*introspector, error) {
	u, err := url.Parse(is.IntrospectURL)
	if err != nil {
		return nil, err
	}
	opt := outbound.Options{Configured: true, Timeout: keysTimeout}
	if is.IntrospectAs != nil {
		if opt.Service, err = out.NewService(*is.IntrospectAs); err != nil {
			return nil, err
		}
	}
	client, err := out.Client(u, opt)
	if err != nil {
		return nil, err
	}
	return &introspector{is, client, make(chan struct{}, maxAsking)}, nil
}

// ask returns what the issuer says of the token, a JSON object. A token that is
// not active is a *faultError.
func (i *introspector) ask(ctx context.Context, token string) (fhir.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	select {
	case i.places <- struct{}{}:
		defer func() { <-i.places }()
	case <-ctx.Done():
		return fhir.Node{}, fmt.Errorf("%w: too many questions are under way", errNoIntrospection)
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.is.IntrospectURL, strings.NewReader(form.Encode()))
	if err != nil {
		return fhir.Node{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if i.is.IntrospectAs == nil { // RFC 6749, section 2.3.1: both are form-encoded first
		req.SetBasicAuth(url.QueryEscape(i.is.IntrospectUser), url.QueryEscape(i.is.IntrospectPassword))
	}
	resp, err := i.client.Do(req)
	if err != nil {
		return fhir.Node{}, fmt.Errorf("%w: %w", errNoIntrospection, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fhir.Node{}, fmt.Errorf("%w: it answered %s", errNoIntrospection, resp.Status)
	}
	body, err := outbound.ReadAll(resp.Body, keysLimit)
	if err != nil {
		return fhir.Node{}, fmt.Errorf("%w: %w", errNoIntrospection, err)
	}
	doc, err := fhir.Parse(body, fhir.Limits{Depth: 16, Nodes: 8192})
	if err != nil {
		return fhir.Node{}, fmt.Errorf("%w: its answer is no JSON", errNoIntrospection)
	}
	active := doc.Root().Get("active")
	if active.Kind() != fhir.Bool {
		return fhir.Node{}, fmt.Errorf("%w: its answer does not say whether the token is active", errNoIntrospection)
	}
	if active.Text() != "true" {
		return fhir.Node{}, refuse("the token is not known, has expired or was revoked")
	}
	return doc.Root(), nil
}

// opaque checks a token that is no JWT with the issuers that can be asked.
func (v *verifier) opaque(ctx context.Context, token string, now time.Time) (*verified, error) {
	var last error = refuse("the token is not a signed JWT of three parts")
	for _, is := range v.asked {
		payload, err := is.introspect.ask(ctx, token)
		if err != nil {
			last = err
			continue
		}
		if iss := payload.Get("iss"); iss.Valid() && iss.Text() != is.Issuer.Issuer {
			return nil, refuse("the token's issuer is not the one that knows it (iss)")
		}
		c, err := claimsOf(&is.Issuer, v.cfg, payload, now, true)
		if err != nil {
			return nil, err
		}
		return &verified{claims: c, from: is, until: now.Add(verifiedFor)}, nil
	}
	return nil, last
}
