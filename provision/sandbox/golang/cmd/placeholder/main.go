// Command placeholder is what runs in the containers of images that the sandbox
// does not have: it listens on the ports that PORTS names, separated by commas,
// and answers every request with 200. Called "pause" it holds a pod's
// namespaces: it waits, and takes up orphans (pid_namespaces(7)).
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	if filepath.Base(os.Args[0]) == "pause" {
		pause(ended)
		return
	}
	fmt.Println("elysium sandbox: a placeholder runs here instead of this image's program")
	for _, port := range strings.FieldsFunc(os.Getenv("PORTS"), func(r rune) bool { return r == ',' }) {
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() { _ = http.Serve(listener, http.HandlerFunc(answer)) }() //nolint:gosec // nothing of the kind here
	}
	<-ended
}

func answer(out http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(out, "elysium sandbox: a placeholder")
}

func pause(ended <-chan os.Signal) {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	for {
		select {
		case <-ended:
			return
		case <-children:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != nil || pid <= 0 {
					break
				}
			}
		}
	}
}
