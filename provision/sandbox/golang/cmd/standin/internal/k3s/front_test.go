package k3s

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// begun is a server of which only the front runs, and an API server behind it
// that says who it is told is asking.
func begun(t *testing.T, o *options) string {
	t.Helper()
	if err := certificates(o); err != nil {
		t.Fatal(err)
	}
	if err := started(o); err != nil {
		t.Fatal(err)
	}
	o.bindAddress, o.port = "127.0.0.1", freePort(t)
	behind := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s in %s", r.Header.Get("X-Remote-User"), r.Header.Get("X-Remote-Group"))
	}))
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.apiPort()))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(o.tls("serving-kube-apiserver.crt"), o.tls("serving-kube-apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	behind.Listener.Close()
	behind.Listener = listener
	behind.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	behind.StartTLS()
	t.Cleanup(behind.Close)
	core := func() bool { return !notReady }
	server, err := openFront(o, func(context.Context, string) error { return nil }, core)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return o.url()
}

// notReady has the server say that its core is not ready.
var notReady bool

func TestTheCoreIsNotReadyAtOnce(t *testing.T) {
	o := someOptions(t)
	address := begun(t, o)
	password, _ := tokenPassword(o)
	notReady = true
	defer func() { notReady = false }()
	status := address + "/v1-k3s/encrypt/status"
	if got, said := ask(t, o, status, "server", password, nil); got != 500 || !strings.Contains(said, "runtime core not ready") {
		t.Errorf("%d %s", got, said)
	}
	if got, _ := ask(t, o, status, "server", "wrong", nil); got != 401 {
		t.Errorf("a wrong token: %d", got)
	}
	o.token = string(must(os.ReadFile(o.at("token"))))
	if err := token([]string{"rotate", "--server", address, "--token", strings.TrimSpace(o.token)}); err == nil {
		t.Error("the token is rotated")
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// freePort is a port that is free, as is the one above it.
func freePort(t *testing.T) int {
	t.Helper()
	for range 50 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.Addr().(*net.TCPAddr).Port
		second, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		first.Close()
		if err == nil {
			second.Close()
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}

func ask(t *testing.T, o *options, address, user, password string, pair *tls.Certificate) (int, string) {
	t.Helper()
	roots, err := pool(o.tls("server-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: roots}
	if pair != nil {
		config.Certificates = []tls.Certificate{*pair}
	}
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Remote-User", "system:admin") // nobody is who they say they are
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

func adminPair(t *testing.T, o *options) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(o.tls("client-admin.crt"), o.tls("client-admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestWhoKnowsTheTokenIsLetIn(t *testing.T) {
	o := someOptions(t)
	address := begun(t, o)
	password, err := tokenPassword(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		path, user, password string
		status               int
	}{
		{"/cacerts", "", "", 200},
		{"/v1-k3s/server-ca.crt", "node", password, 200},
		{"/v1-k3s/server-ca.crt", "node", "other", 401},
		{"/v1-k3s/server-ca.crt", "somebody", password, 401},
		{"/v1-k3s/server-ca.crt", "", "", 401},
		{"/v1-k3s/server-ca.crt", "server", password, 403},
		{"/v1-k3s/encrypt/status", "server", password, 200},
		{"/v1-k3s/encrypt/status", "node", password, 403},
		{"/v1-k3s/unheard-of", "server", password, 404},
	} {
		if got, body := ask(t, o, address+one.path, one.user, one.password, nil); got != one.status {
			t.Errorf("%+v: %d, %s", one, got, body)
		}
	}
}

func TestARotatedTokenCountsFromTheNextStartOn(t *testing.T) {
	o := someOptions(t)
	address := begun(t, o)
	before, _ := tokenPassword(o)
	arguments := []string{"rotate", "--data-dir", o.dataDir, "--server", address}
	if err := token(append(arguments, "--token", "wrong")); err == nil {
		t.Error("a wrong token was taken")
	}
	if err := token(arguments); err == nil {
		t.Error("the token of --data-dir was read, which k3s does not do")
	}
	full := strings.TrimSpace(string(must(os.ReadFile(o.at("token")))))
	t.Setenv("K3S_TOKEN", "K10"+strings.Repeat("0", 64)+"::server:"+before)
	if err := token(arguments); err == nil {
		t.Error("a token of another authority was taken")
	}
	t.Setenv("K3S_TOKEN", full)
	if err := token(arguments); err != nil {
		t.Fatal(err)
	}
	after, _ := tokenPassword(o)
	if after == before || after == "" {
		t.Error("the token is the old one")
	}
	status := address + "/v1-k3s/encrypt/status"
	if got, _ := ask(t, o, status, "server", before, nil); got != 200 {
		t.Error("the old token is refused before the restart")
	}
	o.token = before
	if started(o) == nil {
		t.Error("a start with the old token succeeds")
	}
}

func TestWhoShowsACertificateIsToldToTheAPIServer(t *testing.T) {
	o := someOptions(t)
	address := begun(t, o)
	pair := adminPair(t, o)
	if _, said := ask(t, o, address+"/api", "", "", &pair); said != "system:admin in system:masters" {
		t.Errorf("with a certificate: %q", said)
	}
	if _, said := ask(t, o, address+"/api", "", "", nil); said != " in " {
		t.Errorf("without: %q", said)
	}
}

// another is a folder with another client authority, the old one beside it if
// `both`.
func another(t *testing.T, o *options, both bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "another"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, SubjectKeyId: []byte("another"),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := writePair(filepath.Join(folder, "tls"), "client-ca", der, key); err != nil {
		t.Fatal(err)
	}
	if both {
		path := filepath.Join(folder, "tls", "client-ca.crt")
		old, _ := os.ReadFile(o.tls("client-ca.crt"))
		own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if err := os.WriteFile(path, append(own, old...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestAnotherAuthorityIsUsedFromTheNextStartOn(t *testing.T) {
	o := someOptions(t)
	address := begun(t, o)
	old := adminPair(t, o)
	for _, both := range []bool{true, false} {
		arguments := []string{"rotate-ca", "--data-dir", o.dataDir, "--server", address, "--path", another(t, o, both)}
		if err := certificateCommand(arguments); err == nil || !strings.Contains(err.Error(), "failed to validate") {
			t.Errorf("without --force: %v", err)
		}
		if err := certificateCommand(append(arguments, "--force")); err != nil {
			t.Fatal(err)
		}
		if err := restoreAuthority(o); err != nil {
			t.Fatal(err)
		}
		if err := certificates(o); err != nil {
			t.Fatal(err)
		}
		roots, err := pool(o.tls("client-ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		now := adminPair(t, o)
		if identify(&tls.ConnectionState{PeerCertificates: parsed(t, now)}, roots) == nil {
			t.Error("the new certificate is refused")
		}
		if known := identify(&tls.ConnectionState{PeerCertificates: parsed(t, old)}, roots) != nil; known != both {
			t.Errorf("the old certificate is known: %v, with the old authority: %v", known, both)
		}
	}
}

func parsed(t *testing.T, pair tls.Certificate) []*x509.Certificate {
	t.Helper()
	one, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{one}
}
