package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"ingle/authz"
	"ingle/interaction"
	"ingle/internal/demo"
	"ingle/store"
)

// loadDemo stores the demo cohort unless it is there, and prints what to try.
func loadDemo(ctx context.Context, db *store.DB, service *interaction.Service, base string, out io.Writer) error {
	session := db.As(authz.System("demo"))
	typ, id, _ := strings.Cut(demo.Marker, "/")
	marker, err := session.Read(ctx, typ, id)
	if err != nil {
		return fmt.Errorf("look for the demo cohort: %w", err)
	}
	if marker == nil {
		for bundle := range demo.Bundles() {
			resp := service.Do(ctx, session, &interaction.Request{Kind: interaction.Batch, Body: bundle, ContentType: "application/fhir+json", BaseURL: base})
			if resp.Status >= 300 {
				return fmt.Errorf("load the demo cohort: status %d: %w", resp.Status, orError(resp.Err, string(resp.Body)))
			}
		}
	}
	fmt.Fprintf(out, "\nIngle is ready: %s\n\nTry:\n", base)
	for _, x := range demo.Examples(base) {
		fmt.Fprintf(out, "  %s\n    %s\n", x.Title, x.URL)
	}
	fmt.Fprintf(out, "\nCtrl-C stops the server.\n\n")
	return nil
}

func orError(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// unreachable tells whether waiting may help: the database does not answer yet.
func unreachable(err error) bool {
	var network net.Error
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "57P03" // cannot_connect_now: it is starting
	}
	return errors.As(err, &network)
}
