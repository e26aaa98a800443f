// Package registry serves container images over plain HTTP: the registry of a
// sandbox. It runs on the sandbox' side of the network, not on the node.
package registry

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/spf13/pflag"
)

// Main serves until the process ends. What was pushed is in memory and goes
// with it.
func Main(name string, args []string) error {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	listen := flags.String("listen", "", "the address to listen on, HOST:PORT")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *listen == "" || flags.NArg() > 0 {
		return errors.New("usage: registry --listen HOST:PORT")
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *listen, err)
	}
	server := &http.Server{
		Handler:           registry.New(registry.Logger(log.New(os.Stderr, "", log.LstdFlags))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	return server.Serve(listener)
}
