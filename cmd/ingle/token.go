package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingle/authz/devtoken"
)

func tokenCommand() *cobra.Command {
	var dir string
	c := devtoken.Claims{}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make tokens for development, where there is no issuer",
		Long: `Make an access token in the shape of Gen3's Fence and print it. The key is made
when first asked for, in --dir, with the JWK set (jwks.json) that a server with
auth.issuers.keys_file verifies it by. Without --user nothing but the key is made.

For development only: whoever can read the folder can be anybody.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			issuer, err := devtoken.Open(dir)
			if err != nil || c.User == "" {
				return err
			}
			if c.Issuer == "" {
				return errors.New("--issuer is needed: what the server has in auth.issuers")
			}
			token, err := issuer.Token(c, time.Now())
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), token)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "keys", "folder of the key")
	f.StringVar(&c.User, "user", "", "whose token it is")
	f.StringVar(&c.Client, "client", "", "client that acts for the user")
	f.StringVar(&c.Issuer, "issuer", "", "claim iss")
	f.StringSliceVar(&c.Audience, "audience", []string{"fhir"}, "claim aud")
	f.StringSliceVar(&c.Scopes, "scope", nil, "SMART scopes, such as user/*.rs")
	f.StringVar(&c.Patient, "patient", "", "id of the patient in context")
	f.DurationVar(&c.Lifetime, "lifetime", 8*time.Hour, "how long it is good")
	return cmd
}
