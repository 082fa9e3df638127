package config

import (
	"errors"
	"fmt"
	"time"
)

// Terminology says where the meaning of codes comes from beside the database.
type Terminology struct {
	Cache      bool                `key:"cache" default:"true" doc:"Keep value sets, code systems and the answers of other servers in memory. Off: each request reads them anew."`
	Remote     []RemoteTerminology `key:"remote" doc:"Other terminology servers, asked for the code systems they are named for. Only codes leave this server, never the resources that hold them."`
	AllowHosts []string            `key:"allow_hosts" doc:"Hosts (host or host:port) of such servers that may be asked over plain HTTP and at private addresses."`
}

// RemoteTerminology is another terminology server. What is imported or stored here as a whole is not asked there.
type RemoteTerminology struct {
	Base      string         `key:"base" doc:"Its FHIR base URL."`
	Systems   []string       `key:"systems" doc:"Code systems that it answers for: a canonical URL, url|version for one version, or url* for all that begin so."`
	Headers   []RemoteHeader `key:"headers" doc:"Headers sent along."`
	As        string         `key:"as" doc:"One of auth.services, with whose token it is asked."`
	User      string         `key:"user" doc:"User name for HTTP Basic."`
	Password  string         `key:"password" secret:"true" doc:"Password for HTTP Basic."`
	Timeout   time.Duration  `key:"timeout" default:"5s" min:"100ms" max:"60s" doc:"Time for one question. When there is no answer, whoever needs it gets 503, and for as long again nobody else waits."`
	CacheTime time.Duration  `key:"cache_time" default:"10m" min:"0s" max:"168h" doc:"How long an answer is kept; 0s: not at all."`
	CAFile    string         `key:"ca_file" doc:"Authorities (PEM) of its certificate. Empty: those of the system."`
}

// RemoteHeader is a header sent to another server.
type RemoteHeader struct {
	Name  string `key:"name" doc:"Name of the header."`
	Value string `key:"value" secret:"true" doc:"Its value."`
}

func (t *Terminology) validate(fault func(string, error)) {
	for i, r := range t.Remote {
		where := fmt.Sprintf("terminology.remote[%d]", i)
		fault(where+".base", checkURL(r.Base))
		if len(r.Systems) == 0 {
			fault(where+".systems", errors.New("name the code systems that it is to be asked for"))
		}
		if (r.User == "") != (r.Password == "") {
			fault(where, errors.New("user and password go together"))
		}
		if r.As != "" && r.User != "" {
			fault(where, errors.New("it is asked as a service or with user and password, not both"))
		}
	}
}
