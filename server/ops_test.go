package server_test

import (
	"context"
	"errors"
	"fmt"

	"ingle/interaction"
	"ingle/store"
)

func panicking(name string) *interaction.Operation {
	return &interaction.Operation{Name: name, Definition: "http://x/" + name, System: true,
		Do: func(context.Context, *store.Session, *interaction.Request) (*interaction.Response, error) {
			panic("secret")
		}}
}

func failing(name string) *interaction.Operation {
	return &interaction.Operation{Name: name, Definition: "http://x/" + name, System: true,
		Do: func(context.Context, *store.Session, *interaction.Request) (*interaction.Response, error) {
			return nil, errors.New("secret")
		}}
}

// late takes longer than it may.
func late(name string) *interaction.Operation {
	return &interaction.Operation{Name: name, Definition: "http://x/" + name, System: true,
		Do: func(context.Context, *store.Session, *interaction.Request) (*interaction.Response, error) {
			return nil, fmt.Errorf("secret: %w", context.DeadlineExceeded)
		}}
}
