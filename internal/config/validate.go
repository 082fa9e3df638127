package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// validate finds what is wrong beyond single values. It also brings paths and URLs into one form.
func (c *Config) validate() []error {
	var faults []error
	fault := func(where string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", where, err))
		}
	}
	fault("listen", checkListen(c.Listen))
	if c.Metrics.Listen != "" {
		fault("metrics.listen", checkListen(c.Metrics.Listen))
	}
	c.BasePath = strings.TrimRight(c.BasePath, "/")
	fault("database.url", checkDatabaseURL(c.Database.URL))
	fault("database.migrate_url", checkDatabaseURL(c.Database.MigrateURL))
	fault("base_path", checkBasePath(c.BasePath))
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	for _, u := range []struct{ where, url string }{
		{"public_url", c.PublicURL},
		{"auth.arborist.url", c.Auth.Arborist.URL},
		{"auth.smart.authorization_endpoint", c.Auth.SMART.Authorization},
		{"auth.smart.token_endpoint", c.Auth.SMART.Token},
		{"auth.smart.introspection_endpoint", c.Auth.SMART.Introspection},
		{"auth.smart.registration_endpoint", c.Auth.SMART.Registration},
		{"auth.smart.management_endpoint", c.Auth.SMART.Management},
		{"auth.smart.revocation_endpoint", c.Auth.SMART.Revocation},
	} {
		if u.url != "" {
			fault(u.where, checkURL(u.url))
		}
	}
	known := func(where, name string) {
		if _, ok := c.Auth.Services[name]; name != "" && !ok {
			fault(where, fmt.Errorf("%q is none of auth.services", name))
		}
	}
	known("auth.arborist.as", c.Auth.Arborist.As)
	for i, is := range c.Auth.Issuers {
		known(fmt.Sprintf("auth.issuers[%d].introspect_as", i), is.IntrospectAs)
	}
	for i, r := range c.Terminology.Remote {
		known(fmt.Sprintf("terminology.remote[%d].as", i), r.As)
	}
	for name, s := range c.Auth.Services {
		fault("auth.services."+name+".token_url", checkURL(s.TokenURL))
		if s.ClientID == "" || s.ClientSecret == "" {
			fault("auth.services."+name, errors.New("client_id and client_secret are needed"))
		}
	}
	if c.DataDir == "" {
		fault("data_dir", errors.New("is empty"))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		fault("tls", errors.New("cert_file and key_file go together"))
	}
	if c.TLS.ClientCAFile != "" && c.TLS.CertFile == "" {
		fault("tls.client_ca_file", errors.New("client certificates need cert_file and key_file"))
	}
	if c.TLS.RequireClient && c.TLS.ClientCAFile == "" {
		fault("tls.require_client", errors.New("needs client_ca_file"))
	}
	if c.Search.Count > c.Search.CountMax {
		fault("search.count", fmt.Errorf("%d is more than search.count_max, %d", c.Search.Count, c.Search.CountMax))
	}
	for i, origin := range c.CORS.Origins {
		fault(fmt.Sprintf("cors.origins[%d]", i), c.checkOrigin(origin))
	}
	c.validateAuth(fault)
	c.validateTenants(fault)
	c.Terminology.validate(fault)
	return faults
}

func (c *Config) validateAuth(fault func(string, error)) {
	a := &c.Auth
	if a.Mode == "open" && !a.AllowPublicOpen && !loopback(c.Listen) {
		fault("auth.mode", fmt.Errorf("open lets everyone read and change everything, and %s can be reached from other machines; "+
			"set auth.mode to jwt or arborist, listen on 127.0.0.1, or set auth.allow_public_open", c.Listen))
	}
	if a.Mode == "arborist" && a.Arborist.URL == "" {
		fault("auth.arborist.url", errors.New("mode arborist needs it"))
	}
	if a.Mode != "open" && len(a.Issuers) == 0 && len(a.Basic) == 0 && len(a.Certificates) == 0 && !a.Anonymous {
		fault("auth.issuers", fmt.Errorf("mode %s needs an issuer of tokens, a basic user or a certificate user", a.Mode))
	}
	for i, issuer := range a.Issuers {
		where := fmt.Sprintf("auth.issuers[%d]", i)
		if issuer.Issuer == "" {
			fault(where, errors.New("issuer is missing"))
		}
		if len(issuer.Audiences) == 0 && len(a.Audiences) == 0 && !issuer.AnyAudience {
			fault(where, errors.New("names no audience; set audiences here or auth.audiences, or any_audience to accept tokens for others"))
		}
		if issuer.KeysURL != "" && issuer.KeysFile != "" {
			fault(where, errors.New("keys_url and keys_file exclude each other"))
		}
		if issuer.KeysURL != "" {
			fault(where+".keys_url", checkURL(issuer.KeysURL))
		}
		if issuer.IntrospectURL != "" {
			fault(where+".introspect_url", checkURL(issuer.IntrospectURL))
		}
	}
	if len(a.Certificates) > 0 && c.TLS.ClientCAFile == "" {
		fault("auth.certificates", errors.New("client certificates need tls.client_ca_file"))
	}
}

func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address with a port such as 127.0.0.1:8080 or :8080", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q has no port from 0 to 65535", address)
	}
	return nil
}

// loopback tells whether only this machine can reach the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func checkBasePath(path string) error {
	if path == "" {
		return nil // the root
	}
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.ContainsAny(path, "?#% \\") {
		return fmt.Errorf("%q is not a path such as /fhir", path)
	}
	return nil
}

// checkDatabaseURL keeps the URL out of its errors: a password is in it.
func checkDatabaseURL(text string) error {
	if text == "" || !strings.Contains(text, "://") && strings.Contains(text, "=") {
		return nil // none, or PostgreSQL's keyword=value form, which its driver checks
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("is not a URL such as postgres://user:password@host:5432/database (percent-encode special characters in the password)")
	}
	return nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("is not an http or https URL")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return errors.New("has a query or a fragment")
	}
	return nil
}

func (c *Config) checkOrigin(origin string) error {
	if origin == "*" {
		if c.Auth.Mode != "open" {
			return fmt.Errorf("* is allowed with auth.mode=open only, this is %s", c.Auth.Mode)
		}
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("%q is not an origin such as https://app.example.org", origin)
	}
	return nil
}
