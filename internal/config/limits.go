package config

import "time"

// Limits bound what one request, or all of them together, can cost. Each is answered with an OperationOutcome.
type Limits struct {
	ResourceBody Bytes `key:"resource_body" default:"5MB" min:"1KB" max:"1GB" doc:"Body of a single resource, inflated."`
	BundleBody   Bytes `key:"bundle_body" default:"50MB" min:"1KB" max:"2GB" doc:"Body of a Bundle, inflated."`
	BinaryBody   Bytes `key:"binary_body" default:"100MB" min:"1KB" max:"1GB" doc:"Body of a Binary in its own content type."`
	InflateRatio int   `key:"inflate_ratio" default:"100" min:"2" max:"10000" doc:"Inflated size over size received, for compressed bodies."`

	BundleEntries int           `key:"bundle_entries" default:"5000" min:"1" max:"100000" doc:"Entries of a batch or transaction."`
	BundleTime    time.Duration `key:"bundle_time" default:"60s" min:"1s" max:"1h" doc:"Execution of a batch or transaction."`

	JSONDepth  int   `key:"json_depth" default:"64" min:"16" max:"64" doc:"Nesting of a resource."`
	JSONNodes  int   `key:"json_nodes" default:"1000000" min:"1000" max:"100000000" doc:"Values in one body."`
	JSONString Bytes `key:"json_string" default:"4MB" min:"1KB" max:"1GB" doc:"One JSON string (attachments excepted in a Binary of its own content type)."`

	Includes     int   `key:"includes" default:"1000" min:"1" max:"100000" doc:"Included resources on a page; what is beyond is said and linked."`
	IncludeDepth int   `key:"include_depth" default:"5" min:"1" max:"20" doc:"Rounds of :iterate."`
	ChainDepth   int   `key:"chain_depth" default:"4" min:"1" max:"10" doc:"Links of a chain, and nesting of _has."`
	Parameters   int   `key:"parameters" default:"64" min:"1" max:"1000" doc:"Parameters of a search."`
	OrValues     int   `key:"or_values" default:"500" min:"1" max:"100000" doc:"Values of one parameter separated by commas."`
	URL          Bytes `key:"url" default:"16KB" min:"1KB" max:"1MB" doc:"Request line; longer searches go by POST _search."`

	RequestTime time.Duration `key:"request_time" default:"30s" min:"1s" max:"1h" doc:"Execution of a single request; bundle_time is that of a Bundle."`
	AnswerTime  time.Duration `key:"answer_time" default:"2m" min:"1s" max:"24h" doc:"Time for the client to take an answer."`

	SearchTime time.Duration `key:"search_time" default:"10s" min:"100ms" max:"1h" doc:"Statement of a search; then 503 with Retry-After."`
	WriteTime  time.Duration `key:"write_time" default:"30s" min:"100ms" max:"1h" doc:"Statement of a write."`
	LockTime   time.Duration `key:"lock_time" default:"5s" min:"10ms" max:"10m" doc:"Wait for a lock."`
	IdleTime   time.Duration `key:"transaction_idle_time" default:"15s" min:"1s" max:"10m" doc:"A transaction that waits for Ingle."`
	Totals     int           `key:"totals" default:"10000" min:"0" max:"10000000" doc:"Exact totals that are remembered until anything is written to the database server, some 150 bytes each; 0: none."`
	TotalTime  time.Duration `key:"total_time" default:"2s" min:"10ms" max:"10m" doc:"_total=accurate; then an estimate, said so."`

	Expansion int `key:"expansion" default:"1000" min:"1" max:"1000000" doc:"Codes in the expansion of a value set without paging."`
	Exports   int `key:"exports" pending:"true" default:"2" min:"0" max:"100" doc:"Bulk exports at once on this instance."`
	Imports   int `key:"imports" pending:"true" default:"1" min:"0" max:"100" doc:"Bulk imports at once on this instance."`

	WritesPerConnection int           `key:"writes_per_connection" default:"4" min:"1" max:"1000" doc:"Writes in flight for each connection of the pool; more wait."`
	QueueTime           time.Duration `key:"queue_time" default:"1s" min:"0s" max:"60s" doc:"Wait for a free place; then 503 with Retry-After."`

	HeaderTime    time.Duration `key:"header_time" default:"5s" min:"100ms" max:"10m" doc:"Time to send the request headers."`
	KeepAliveTime time.Duration `key:"keep_alive_time" default:"60s" min:"1s" max:"1h" doc:"Idle time of a client's connection."`
	HeaderBytes   Bytes         `key:"header_bytes" default:"32KB" min:"4KB" max:"1MB" doc:"Request headers."`
	BodyRate      Bytes         `key:"body_rate" default:"10KB" min:"0B" max:"1GB" doc:"Least speed of a body, a second; 0B switches it off."`

	FetchHosts     []string      `key:"fetch_hosts" pending:"true" doc:"Hosts that Ingle may call on behalf of a request (https only). Empty: none."`
	FetchTime      time.Duration `key:"fetch_time" pending:"true" default:"10s" min:"100ms" max:"10m" doc:"One such call."`
	FetchRedirects int           `key:"fetch_redirects" pending:"true" default:"3" min:"0" max:"10" doc:"Redirects that it follows, all on the same origin."`

	DrainTime time.Duration `key:"drain_time" default:"30s" min:"0s" max:"10m" doc:"Time for running requests to end when the server stops."`
}
