package config

import (
	"errors"
	"fmt"
	"regexp"
)

var tenantName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

func (c *Config) validateTenants(fault func(string, error)) {
	t := &c.Tenants
	if len(t.Named) == 0 {
		return
	}
	if c.Auth.Mode != "open" && t.Claim == "" {
		fault("tenants.claim", fmt.Errorf("auth.mode %s needs it, so that a token of one tenant is nothing to another", c.Auth.Mode))
	}
	urls := map[string]string{c.Database.URL: "database.url"}
	for name, tenant := range t.Named {
		where := "tenants.named." + name
		if !tenantName.MatchString(name) || name == "metadata" || name == "default" {
			fault(where, errors.New("is not a name for a tenant: a small letter, then small letters, digits and hyphens, 40 at most; not metadata, not default"))
		}
		fault(where+".database_url", checkDatabaseURL(tenant.DatabaseURL))
		switch {
		case tenant.DatabaseURL == "" && c.Database.URL != "":
			fault(where+".database_url", errors.New("is needed where database.url is given"))
		case tenant.DatabaseURL != "" && urls[tenant.DatabaseURL] != "":
			fault(where+".database_url", fmt.Errorf("is that of %s, too", urls[tenant.DatabaseURL]))
		}
		urls[tenant.DatabaseURL] = where
	}
}

// OfTenant is the configuration as a tenant's part of the server sees it.
func (c *Config) OfTenant(name string) *Config {
	own := *c
	own.BasePath += "/" + name
	if own.PublicURL != "" {
		own.PublicURL += "/" + name
	}
	own.Database.URL, own.Database.MigrateURL = c.Tenants.Named[name].DatabaseURL, ""
	own.Tenants, own.Demo = Tenants{}, false
	return &own
}
