package profiles

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mode says what becomes of the issues of a write.
type Mode string

// The modes.
const (
	Off     Mode = "off"     // only the JSON format is checked, as a parser does (Request.Format)
	Warn    Mode = "warn"    // everything is stored; the issues go into the answer when it is asked for
	Enforce Mode = "enforce" // a resource with an error is refused
)

// Config says what is asked of resources. The zero Config enforces the base
// definitions and the profiles that a resource claims.
type Config struct {
	Mode      Mode             // "" is Enforce
	Resources map[string]Rules // by resource type; "Resource" for all types without an entry of their own
	FailFast  bool             // stop at the first error
	MaxIssues int              // of one resource; default 500

	// Projects are the resource paths whose resources Rules.AtLeastOne binds,
	// with all below them; nil: it binds all. A resource belongs where its
	// security labels of the system LabelSystem say.
	Projects    []string
	LabelSystem string

	// Alone keeps the validation of writes from reading what references lead
	// to: resolve() finds what is in the same request only, and the profiles
	// that a reference asks of its target are checked there alone.
	Alone bool

	// AustralianIdentifiers checks Medicare card, provider and IHI/HPI numbers.
	AustralianIdentifiers bool
	// VitalSigns checks Observations with one of the codes of FHIR's vital
	// signs against the profile of that sign, claimed or not.
	VitalSigns bool
	// RejectMalformedCodes makes a SNOMED CT code that cannot be one (wrong
	// digits) an error instead of a warning. Synthetic data is full of them.
	RejectMalformedCodes bool
	// RejectExamples makes an unknown extension with an example URL an error.
	RejectExamples bool
}

// Rules are what is asked of the resources of one type.
type Rules struct {
	Mode Mode // "" is the mode of the Config
	// AtLeastOne lists profiles of which a resource must claim one and follow
	// it. A version in the list must be claimed exactly (or be the default
	// version of an unversioned claim).
	AtLeastOne []string
	// NotAllowed lists profiles that a resource may not claim.
	NotAllowed []string
	// AllowUnknown says that a claimed profile that is not loaded is a warning
	// (nil and true) or an error (false).
	AllowUnknown *bool
	// DefaultVersions gives the version that a claim without one means.
	DefaultVersions map[string]string
}

const defaultMaxIssues = 500

// check finds what is wrong with a configuration.
func (c *Config) check() error {
	var errs []error
	mode := func(where string, m Mode) {
		switch m {
		case "", Off, Warn, Enforce:
		default:
			errs = append(errs, fmt.Errorf("profiles: %s: the mode %q is none of off, warn, enforce", where, m))
		}
	}
	mode("validation", c.Mode)
	for typ, rules := range c.Resources {
		mode("validation of "+typ, rules.Mode)
		for _, p := range rules.AtLeastOne {
			if slices.ContainsFunc(rules.NotAllowed, func(n string) bool { return n == p }) {
				errs = append(errs, fmt.Errorf("profiles: %s: the profile %s is asked for and not allowed", typ, p))
			}
		}
		for url := range rules.DefaultVersions {
			if strings.Contains(url, "|") {
				errs = append(errs, fmt.Errorf("profiles: %s: the default version of %q is given for a URL with a version", typ, url))
			}
		}
	}
	return errors.Join(errs...)
}

// rules are those of a resource type.
func (c *Config) rules(resourceType string) Rules {
	if r, ok := c.Resources[resourceType]; ok {
		return r
	}
	return c.Resources["Resource"]
}

// mode is that of a resource type.
func (c *Config) mode(resourceType string) Mode {
	if m := c.rules(resourceType).Mode; m != "" {
		return m
	}
	if c.Mode != "" {
		return c.Mode
	}
	return Enforce
}
