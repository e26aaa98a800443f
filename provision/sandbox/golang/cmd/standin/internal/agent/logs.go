package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kubeletPort is where the API server asks for a pod's log.
const kubeletPort = 10250

// logServer is the part of a kubelet's own API that `kubectl logs` needs. It
// answers the API server only, by its client certificate.
type logServer struct {
	api  client.Client
	node Node
}

// run serves until ctx is done.
func (s *logServer) run(ctx context.Context) error {
	authority, err := os.ReadFile(s.node.ClientCAFile)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(authority)
	routes := http.NewServeMux()
	routes.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.log)
	routes.HandleFunc("/", func(out http.ResponseWriter, _ *http.Request) {
		http.Error(out, "the elysium sandbox runs no containers: there is nothing to attach to", http.StatusNotImplemented)
	})
	server := &http.Server{
		Addr:              net.JoinHostPort(s.node.IP, strconv.Itoa(kubeletPort)),
		Handler:           routes,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		TLSConfig: &tls.Config{
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12,
		},
	}
	go func() {
		<-ctx.Done()
		_ = server.Close() // the process ends with it
	}()
	err = server.ListenAndServeTLS(s.node.ServingCert+".crt", s.node.ServingCert+".key")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// log writes what a container has printed, and goes on when asked to follow.
func (s *logServer) log(out http.ResponseWriter, request *http.Request) {
	pod := &corev1.Pod{}
	key := client.ObjectKey{Namespace: request.PathValue("namespace"), Name: request.PathValue("pod")}
	if err := s.api.Get(request.Context(), key, pod); err != nil {
		http.Error(out, err.Error(), http.StatusNotFound)
		return
	}
	file, err := os.Open(filepath.Join(podLogs(pod), filepath.Base(request.PathValue("container")), "0.log"))
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(out, "elysium sandbox: this container is said to run, no process stands for it")
		return
	} else if err != nil {
		http.Error(out, err.Error(), http.StatusInternalServerError)
		return
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err == nil {
		_, err = out.Write(lastLines(content, request.FormValue("tailLines")))
	}
	for err == nil && request.FormValue("follow") == "true" {
		if flusher, ok := out.(http.Flusher); ok {
			flusher.Flush()
		}
		select {
		case <-request.Context().Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
		_, err = io.Copy(out, file)
	}
}

// lastLines is the end of content, as many lines as count says; all of it when
// that is no number.
func lastLines(content []byte, count string) []byte {
	wanted, err := strconv.Atoi(count)
	if err != nil {
		return content
	}
	start := len(bytes.TrimSuffix(content, []byte("\n")))
	for ; wanted > 0 && start >= 0; wanted-- {
		start = bytes.LastIndexByte(content[:start], '\n')
	}
	return content[start+1:]
}

// podLogs is the folder of a pod's logs, as a kubelet names it.
func podLogs(pod *corev1.Pod) string {
	return filepath.Join(logsDir, fmt.Sprintf("%s_%s_%s", pod.Namespace, pod.Name, pod.UID))
}
