// Command arborist serves Arborist on a free loopback address, for tests. It
// prints the address and ends when its standard input does. Arborist's own
// command listens on every address.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/jmoiron/sqlx"
	"github.com/uc-cdis/arborist/arborist"
	"github.com/uc-cdis/go-authutils/authutils"
)

func main() {
	db, err := sqlx.Open("postgres", os.Getenv("ARBORIST_DATABASE"))
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(4)
	server, err := arborist.NewServer().
		WithLogger(log.New(os.Stderr, "", 0)).
		WithJWTApp(authutils.NewJWTApplication(os.Getenv("ARBORIST_KEYS"))).
		WithDB(db).
		Init()
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, server.MakeRouter(io.Discard)))
}
