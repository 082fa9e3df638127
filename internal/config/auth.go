package config

import "time"

// Auth is how callers are known and what decides what they may do.
type Auth struct {
	Mode            string `key:"mode" default:"open" oneof:"open|jwt|arborist" doc:"open: everyone may do everything (development); jwt: tokens of OIDC issuers, roles and SMART scopes decide; arborist: Gen3, Arborist's grants decide."`
	AllowPublicOpen bool   `key:"allow_public_open" default:"false" doc:"Let mode open listen on addresses that other machines can reach."`
	Realm           string `key:"realm" default:"fhir" doc:"Realm in WWW-Authenticate."`

	Issuers       []Issuer      `key:"issuers" doc:"Issuers whose tokens are accepted. A plain URL stands for a mapping with only issuer set."`
	Audiences     []string      `key:"audiences" doc:"Audiences for issuers that name none of their own."`
	AllowHosts    []string      `key:"allow_hosts" doc:"Hosts (host or host:port) that may be asked for keys and grants over plain HTTP and at private addresses."`
	Leeway        time.Duration `key:"leeway" default:"30s" min:"0s" max:"60s" doc:"Difference of clocks allowed in exp, nbf and iat."`
	RequireScopes bool          `key:"require_scopes" default:"false" doc:"A token without any SMART scope is allowed nothing."`
	PatientClaim  string        `key:"patient_claim" default:"patient" doc:"Claim that holds the id of the patient in context."`

	RolesClaim      string              `key:"roles_claim" doc:"Path of the claim that names roles, such as realm_access.roles."`
	DefaultRoles    []string            `key:"default_roles" doc:"Roles of every caller with a valid token."`
	Roles           map[string]Role     `key:"roles" doc:"Grants by configuration, by role."`
	PlanClaim       string              `key:"plan_claim" doc:"Path of the claim that names the caller's plan."`
	Plans           map[string]RolePlan `key:"plans" doc:"Roles by plan."`
	Grants          bool                `key:"grants" default:"false" doc:"Administrators give roles and plans at /admin/authz/grants. Every request then asks the database what its caller was given."`
	Policies        map[string]Policy   `key:"policies" doc:"Access policies, by name: what they take away from what is granted, by resource type."`
	DefaultPolicies []string            `key:"default_policies" doc:"Policies of every caller but administrators."`
	Basic           []BasicUser         `key:"basic" doc:"Services that authenticate with HTTP Basic."`
	Certificates    []CertificateUser   `key:"certificates" doc:"Services that authenticate with a client certificate, see tls.client_ca_file."`

	Services  map[string]Service `key:"services" doc:"Who this server is for other services: where it gets tokens of its own, by the name that introspect_as and as refer to. No caller's token is sent to them."`
	Consent   string             `key:"consent" default:"off" oneof:"off|opt-out|opt-in" doc:"Whether Consents of patients are enforced: opt-out withholds the data of a patient whose Consents deny, or whose permission was withdrawn; opt-in those of patients without a permission too. Administrators, and patients with their own token (fhirUser is the patient in context) and patient scopes alone, see them all the same."`
	Anonymous bool               `key:"anonymous" default:"false" doc:"Callers without credentials have the grants of Arborist's anonymous group instead of 401."`
	Arborist  Arborist           `key:"arborist" doc:"Gen3's policy engine."`
	Labels    Labels             `key:"labels" doc:"What ties resources to Arborist resource paths: codings in meta.security."`
	SMART     SMART              `key:"smart" doc:"What /.well-known/smart-configuration says; the endpoints belong to the authorization server."`
}

// Issuer is one issuer of tokens. Without keys_url and keys_file its discovery document is asked.
type Issuer struct {
	Issuer             string        `key:"issuer" scalar:"true" doc:"Exactly as in the claim iss."`
	Audiences          []string      `key:"audiences" doc:"One of them must be in aud. Empty: auth.audiences."`
	AnyAudience        bool          `key:"any_audience" default:"false" doc:"Do not check aud."`
	KeysURL            string        `key:"keys_url" doc:"URL of its JWK set."`
	KeysFile           string        `key:"keys_file" doc:"File with its JWK set, read again when it changes."`
	Algorithms         []string      `key:"algorithms" doc:"Signature algorithms accepted. Empty: RS, ES and PS with 256, 384, 512, and EdDSA."`
	Purpose            string        `key:"purpose" doc:"What the claim pur must be. Empty: access in mode arborist, else pur may be absent."`
	UserClaim          string        `key:"user_claim" doc:"Path of the claim that names the user. Empty: context.user.name in mode arborist, else sub."`
	IntrospectURL      string        `key:"introspect_url" doc:"URL of token introspection (RFC 7662). Set: every token of the issuer is asked about, at most once a minute, so that opaque ones are accepted and revoked ones refused."`
	IntrospectUser     string        `key:"introspect_user" doc:"Client id for introspection."`
	IntrospectPassword string        `key:"introspect_password" secret:"true" doc:"Client secret for introspection."`
	IntrospectAs       string        `key:"introspect_as" doc:"One of auth.services, with whose token introspection is asked instead."`
	MaxLifetime        time.Duration `key:"max_lifetime" default:"0s" min:"0s" doc:"Longest time from iat to exp; 0s means any."`
}

// Arborist is Gen3's policy engine.
type Arborist struct {
	URL       string        `key:"url" secret:"url" doc:"Where Arborist answers, such as http://arborist-service."`
	Service   string        `key:"service" default:"fhir" doc:"Service of the grants that count; grants for * count too."`
	AdminPath string        `key:"admin_path" default:"/services/fhir/admin" doc:"Resource whose grant with all methods makes an administrator."`
	As        string        `key:"as" doc:"One of auth.services, with whose token Arborist is asked."`
	SendToken bool          `key:"send_token" default:"false" doc:"Ask with the caller's own token instead of with the verified user name."`
	CacheTTL  time.Duration `key:"cache_ttl" default:"30s" min:"0s" max:"10m" doc:"How long a grant may outlive its withdrawal."`
	Timeout   time.Duration `key:"timeout" default:"5s" min:"100ms" max:"60s" doc:"Time for one question."`
}

// Labels tie resources to Arborist resource paths by meta.security.
type Labels struct {
	System         string `key:"system" default:"urn:gen3:authz" doc:"System of the codings in meta.security that are labels."`
	Mode           string `key:"mode" default:"any" oneof:"any|all" doc:"A resource with several labels is visible when any or only when all of them are granted."`
	UnlabelledPath string `key:"unlabelled_path" doc:"Resource whose grant reaches resources without a label. Empty: auth.arborist.admin_path."`
}

// SMART fills /.well-known/smart-configuration; the endpoints belong to the authorization server.
type SMART struct {
	Authorization string `key:"authorization_endpoint" doc:"URL of the authorization endpoint."`
	Token         string `key:"token_endpoint" doc:"URL of the token endpoint."`
	Introspection string `key:"introspection_endpoint" doc:"URL of the introspection endpoint."`
	Registration  string `key:"registration_endpoint" doc:"URL of the dynamic registration endpoint."`
	Management    string `key:"management_endpoint" doc:"URL where users manage what they granted."`
	Revocation    string `key:"revocation_endpoint" doc:"URL of the revocation endpoint."`
}

// Role is a set of grants by configuration.
type Role struct {
	Paths      []string `key:"paths" doc:"Resource paths with all below them; / is everything."`
	Methods    []string `key:"methods" doc:"read, create, update, delete or *."`
	Unlabelled bool     `key:"unlabelled" default:"false" doc:"Resources without a label too."`
	Admin      bool     `key:"admin" default:"false" doc:"Administers the server."`
	Policies   []string `key:"policies" doc:"Access policies that hold for who has the role; with several, all of them do."`
}

// Service is a client of an authorization server: this server itself, before another service.
type Service struct {
	TokenURL     string `key:"token_url" doc:"URL of the token endpoint (grant type client_credentials)."`
	ClientID     string `key:"client_id" doc:"Client id."`
	ClientSecret string `key:"client_secret" secret:"true" doc:"Client secret."`
	Scope        string `key:"scope" doc:"Scopes asked for, separated by blanks."`
	Audience     string `key:"audience" doc:"Audience asked for, where the endpoint wants one."`
}

// RolePlan is what a plan contains.
type RolePlan struct {
	Roles []string `key:"roles" doc:"Its roles."`
}

// Policy is an access policy.
type Policy struct {
	Resources map[string]PolicyRule `key:"resources" doc:"What is left of each resource type; * is for the types that are not named. A type without a rule is out of reach."`
}

// PolicyRule is what an access policy leaves of a resource type: all, where it says nothing.
type PolicyRule struct {
	Criteria []string `key:"criteria" doc:"Searches such as category=laboratory&status=final, one of which a resource must match. %patient, %encounter and %fhirUser stand for what the token says."`
	Write    []string `key:"write" doc:"The same for what is written, besides criteria."`
	ReadOnly bool     `key:"read_only" default:"false" doc:"Nothing of the type is written."`
	Hidden   []string `key:"hidden" doc:"Elements that are not seen, such as name or contact.name, with every narrative; searches may not use them."`
}

// BasicUser is a service that authenticates with HTTP Basic.
type BasicUser struct {
	Name     string   `key:"name" doc:"User name."`
	Password string   `key:"password" secret:"true" doc:"Hash of the password."`
	Roles    []string `key:"roles" doc:"Its roles."`
	Client   string   `key:"client" doc:"Arborist client whose grants it has instead."`
	Tenants  []string `key:"tenants" doc:"Tenants that it may call, see tenants.named. Empty: base_path itself."`
}

// CertificateUser is a service that authenticates with a client certificate.
type CertificateUser struct {
	Name    string   `key:"name" doc:"Name of the principal."`
	Match   string   `key:"match" doc:"cn:…, dns:…, uri:…, email:… or sha256:<hex of the certificate>."`
	Roles   []string `key:"roles" doc:"Its roles."`
	Client  string   `key:"client" doc:"Arborist client whose grants it has instead."`
	Tenants []string `key:"tenants" doc:"Tenants that it may call, see tenants.named. Empty: base_path itself."`
}
