package k3s

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxBody is more than any request to the paths below has.
const maxBody = 1 << 20

// front is what listens on the server's port: paths of k3s' own for those who
// know the token, and the API server behind it for everything else. As in k3s
// (pkg/server/handlers/router.go), "node" may ask for what an agent needs and
// "server" for what changes the cluster; what they must know is read once, at
// the start, so a rotated token counts from the next start on.
type front struct {
	options  *options
	password string
	keep     keep
	core     func() bool
}

// keep puts what a server cannot make anew into the datastore, for the token
// with that password.
type keep func(ctx context.Context, password string) error

// openFront starts to listen. The server is the caller's to close. core says
// whether what runs behind it is ready, as k3s calls it.
func openFront(o *options, keep keep, core func() bool) (*http.Server, error) {
	password, err := tokenPassword(o)
	if err != nil {
		return nil, err
	}
	serving, err := tls.LoadX509KeyPair(o.tls("serving-kube-apiserver.crt"), o.tls("serving-kube-apiserver.key"))
	if err != nil {
		return nil, err
	}
	behind, err := proxyTo(o)
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler:  (&front{options: o, password: password, keep: keep, core: core}).routes(behind),
		ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{serving},
			ClientAuth:   tls.RequestClientCert, // who is not known is told so, not cut off
			MinVersion:   tls.VersionTLS12,
		},
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(o.bindAddress, strconv.Itoa(o.port)))
	if err != nil {
		return nil, err
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return server, nil
}

func (f *front) routes(behind http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "pong") })
	mux.Handle("GET /cacerts", f.file("server-ca.crt"))
	mux.Handle("GET /v1-k3s/server-ca.crt", f.only("node", f.file("server-ca.crt")))
	mux.Handle("GET /v1-k3s/client-ca.crt", f.only("node", f.file("client-ca.crt")))
	mux.Handle("GET /v1-k3s/encrypt/status", f.only("server", f.ready(f.encryption)))
	mux.Handle("PUT /v1-k3s/token", f.only("server", f.ready(f.token)))
	mux.Handle("PUT /v1-k3s/cert/cacerts", f.only("server", f.ready(f.authorities)))
	mux.HandleFunc("/v1-k3s/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, r.Method+" "+r.URL.Path+" is not part of the sandbox", http.StatusNotFound)
	})
	mux.Handle("/", behind)
	return mux
}

// only lets the user of that name through: 401 for who is not known, 403 for
// who is somebody else.
func (f *front) only(user string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, given := r.BasicAuth()
		same := subtle.ConstantTimeCompare([]byte(password), []byte(f.password)) == 1
		switch {
		case !given || !same || (name != "node" && name != "server"):
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
		case name != user:
			http.Error(w, "forbidden", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ready refuses who is known as long as the core is not ready: k3s says READY
// some seconds before it can answer.
func (f *front) ready(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.core() {
			http.Error(w, "runtime core not ready", http.StatusInternalServerError)
			return
		}
		next(w, r)
	})
}

func (f *front) file(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, f.options.tls(name))
	})
}

func (f *front) encryption(w http.ResponseWriter, _ *http.Request) {
	_, err := os.Stat(encryptionConfig(f.options))
	_ = json.NewEncoder(w).Encode(map[string]any{"enable": err == nil})
}

func (f *front) token(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		NewToken string `json:"newToken"`
	}
	if err := decode(w, r, &asked); err != nil {
		return
	}
	if asked.NewToken == "" {
		asked.NewToken = randomHex(16)
	}
	err := f.keep(r.Context(), asked.NewToken)
	if err == nil {
		err = writeToken(f.options, asked.NewToken)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (f *front) authorities(w http.ResponseWriter, r *http.Request) {
	var asked clientAuthority
	if err := decode(w, r, &asked); err != nil {
		return
	}
	force, _ := strconv.ParseBool(r.FormValue("force"))
	if err := asked.validate(f.options); err != nil {
		if !force {
			http.Error(w, "failed to validate new CA certificates and keys: "+err.Error(),
				http.StatusInternalServerError)
			return
		}
		logf("Save of CA certificates and keys forced, ignoring validation errors: %v", err)
	}
	if err := asked.save(f.options); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func decode(w http.ResponseWriter, r *http.Request, into any) error {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err
}

// proxyTo hands requests to the API server, with the name and groups of who
// showed a certificate (the API server's own "request header" protocol).
func proxyTo(o *options) (http.Handler, error) {
	roots, err := pool(o.tls("server-ca.crt"))
	if err != nil {
		return nil, err
	}
	clients, err := pool(o.tls("client-ca.crt"))
	if err != nil {
		return nil, err
	}
	own, err := tls.LoadX509KeyPair(o.tls("client-auth-proxy.crt"), o.tls("client-auth-proxy.key"))
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(o.apiURL())
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			for name := range r.Out.Header {
				if strings.HasPrefix(name, "X-Remote-") {
					r.Out.Header.Del(name)
				}
			}
			if user := identify(r.In.TLS, clients); user != nil {
				r.Out.Header.Set("X-Remote-User", user.Subject.CommonName)
				for _, group := range user.Subject.Organization {
					r.Out.Header.Add("X-Remote-Group", group)
				}
			}
		},
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}},
			MaxIdleConnsPerHost: 64,
		},
		FlushInterval: -1, // watches
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "apiserver not ready", http.StatusServiceUnavailable)
		},
	}, nil
}

// identify is the certificate of who is at the other end, if it is a client's
// of this cluster.
func identify(state *tls.ConnectionState, roots *x509.CertPool) *x509.Certificate {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	between := x509.NewCertPool()
	for _, one := range state.PeerCertificates[1:] {
		between.AddCert(one)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil
	}
	return state.PeerCertificates[0]
}

func pool(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	result := x509.NewCertPool()
	if !result.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificate", filepath.Base(path))
	}
	return result, nil
}
