//go:build !unix

package pgtest

import "errors"

type guard struct{}

// watch is never reached: package postgres starts no server on this system.
func watch(string, string) (*guard, error) { return nil, errors.ErrUnsupported }

func (*guard) release() {}
