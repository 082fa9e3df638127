package main

import (
	"encoding/base64"
	"fmt"
	"os"

	"ingle/internal/config"
	"ingle/store"
	"ingle/terminology"
)

// terminologyService makes the service as the configuration wants it.
func terminologyService(c *config.Config, db *store.DB) (*terminology.Service, error) {
	o := terminology.Options{MaxExpansion: c.Limits.Expansion, NoCache: !c.Terminology.Cache, Concepts: db.Concepts()}
	for i := range c.Terminology.Remote {
		r, err := terminologyRemote(c, &c.Terminology.Remote[i])
		if err != nil {
			return nil, fmt.Errorf("terminology.remote[%d]: %w", i, err)
		}
		o.Remote = append(o.Remote, r)
	}
	return terminology.New(o), nil
}

func terminologyRemote(c *config.Config, r *config.RemoteTerminology) (*terminology.Remote, error) {
	t := &c.Terminology
	o := terminology.RemoteOptions{Base: r.Base, Systems: r.Systems, Headers: map[string]string{}, Timeout: r.Timeout, CacheTime: r.CacheTime, AllowHosts: t.AllowHosts, As: service(c, r.As)}
	if r.CacheTime == 0 || !t.Cache {
		o.CacheTime = -1
	}
	if r.User != "" {
		o.Headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(r.User+":"+r.Password))
	}
	for _, h := range r.Headers {
		o.Headers[h.Name] = h.Value
	}
	if r.CAFile != "" {
		pem, err := os.ReadFile(r.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		o.TrustPEM = pem
	}
	return terminology.NewRemote(o)
}
