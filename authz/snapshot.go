package authz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"ingle/fhir"
)

// snapshot is the stored form of a Scope.
type snapshot struct {
	Version int             `json:"v"`
	Mode    Mode            `json:"mode"` // of the server that wrote it
	Who     identity        `json:"who"`
	Admin   bool            `json:"admin,omitempty"`
	Grants  []snapshotGrant `json:"grants"`
	Smart   []snapshotSmart `json:"smart,omitempty"`
}

type snapshotGrant struct {
	All        bool     `json:"all,omitempty"`
	Roots      []string `json:"roots,omitempty"`
	Unlabelled bool     `json:"unlabelled,omitempty"`
	NeedAll    bool     `json:"needAll,omitempty"`
}

type snapshotSmart struct {
	Scopes  []string `json:"scopes"`
	Patient string   `json:"patient,omitempty"`
}

const snapshotVersion = 1

// Snapshot returns what a job is started with: who asked for it and what was
// allowed then. It holds no token. The server's own work and the zero Scope
// have none (nil).
func (s Scope) Snapshot() []byte {
	if s.s == nil || s.s.system {
		return nil
	}
	raw, err := json.Marshal(s.s.snapshot())
	if err != nil {
		return nil // it cannot be: strings and booleans only
	}
	return raw
}

func (s *scope) snapshot() snapshot {
	out := snapshot{Version: snapshotVersion, Who: s.identity, Admin: s.admin, Mode: s.mode}
	for _, g := range s.grants {
		out.Grants = append(out.Grants, snapshotGrant{g.All, g.Roots, g.Unlabelled, g.NeedAll})
	}
	for p := s.smart; p != nil; p = p.and {
		one := snapshotSmart{Scopes: []string{}, Patient: p.patient}
		for _, sc := range p.scopes {
			one.Scopes = append(one.Scopes, sc.text)
		}
		out.Smart = append(out.Smart, one)
	}
	return out
}

// FromSnapshot returns what a job may do now: what the snapshot allowed and the
// caller is still granted, both. Its errors are *fhir.Error: 401 for a caller
// that is not known any more, 503 when the grants cannot be known; others for
// a snapshot that cannot be read.
func (r *Resolver) FromSnapshot(ctx context.Context, raw []byte) (Scope, error) {
	var in snapshot
	if err := json.Unmarshal(raw, &in); err != nil {
		return Scope{}, fmt.Errorf("snapshot of a scope: %w", err)
	}
	if in.Version != snapshotVersion || len(in.Grants) != methods {
		return Scope{}, errors.New("snapshot of a scope: it is of another version")
	}
	if in.Mode != r.cfg.Mode {
		return Scope{}, fhir.Errorf(401, fhir.CodeLogin, "the job was started under another mode of authorization (%s); start it again", in.Mode)
	}
	then := &scope{identity: in.Who, mode: in.Mode, admin: in.Admin}
	for m, g := range in.Grants {
		roots := Collapse(slices.Clone(g.Roots))
		then.grants[m] = Grant{All: g.All, Roots: roots, Unlabelled: g.Unlabelled, NeedAll: g.NeedAll, ID: lastGrant.Add(1)}
	}
	for i := len(in.Smart) - 1; i >= 0; i-- {
		p := newPermissions(in.Smart[i].Scopes, in.Smart[i].Patient, true)
		p.and = then.smart
		then.smart = p
	}
	if r.cfg.Mode == ModeOpen {
		return Open(), nil
	}
	now, err := r.current(ctx, in.Who, "")
	if err != nil {
		return Scope{}, outward(err)
	}
	both := Scope{then}.and(now)
	both.s.sources = now.s.sources
	return both, nil
}
