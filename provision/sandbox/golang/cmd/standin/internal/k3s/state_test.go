package k3s

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func someOptions(t *testing.T) *options {
	t.Helper()
	folder := t.TempDir()
	o := &options{
		dataDir: folder, kubeconfig: filepath.Join(folder, "k3s.yaml"), kubeconfigMode: 0o600, nodeName: "kyrion",
		nodeIP: "10.0.0.2", port: 6443, serviceCIDR: "10.43.0.0/16", tlsSAN: []string{"kyrion.lan", "192.0.2.7"},
	}
	for _, name := range []string{"tls", "cred", "db"} {
		if err := os.MkdirAll(o.at(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// started does what a start does with the token.
func started(o *options) error {
	password, err := startPassword(o)
	if err != nil {
		return err
	}
	return writeToken(o, password)
}

func certificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	result, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestTheServerIsKnownByEachOfItsNames(t *testing.T) {
	o := someOptions(t)
	if err := certificates(o); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate(t, o.tls("server-ca.crt")))
	serving := certificate(t, o.tls("serving-kube-apiserver.crt"))
	for _, name := range []string{"kyrion.lan", "192.0.2.7", "127.0.0.1", "10.43.0.1", "10.0.0.2", "kubernetes"} {
		if _, err := serving.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Error(err)
		}
	}
}

func TestCertificatesStayUntilSomethingChanges(t *testing.T) {
	o := someOptions(t)
	serial := func() string {
		if err := certificates(o); err != nil {
			t.Fatal(err)
		}
		return certificate(t, o.tls("serving-kube-apiserver.crt")).SerialNumber.String()
	}
	first := serial()
	if serial() != first {
		t.Error("made anew for nothing")
	}
	o.tlsSAN = append(o.tlsSAN, "new.lan")
	if serial() == first {
		t.Error("a new name changes nothing")
	}
	if got := certificate(t, o.tls("serving-kube-apiserver.crt")).IPAddresses; !got[0].Equal(net.ParseIP("127.0.0.1")) {
		t.Errorf("%v", got)
	}
}

func TestTheTokenStaysAndAnotherIsRefused(t *testing.T) {
	o := someOptions(t)
	if err := certificates(o); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		content, err := os.ReadFile(o.at("node-token"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(content))
	}
	if err := started(o); err != nil {
		t.Fatal(err)
	}
	token := read()
	if !strings.HasPrefix(token, "K10") || !strings.Contains(token, "::server:") {
		t.Errorf("token %q", token)
	}
	for _, same := range []string{"", token, strings.SplitN(token, "::server:", 2)[1]} {
		o.token = same
		if err := started(o); err != nil || read() != token {
			t.Errorf("%v, %q", err, read())
		}
	}
	o.token = "another"
	if err := started(o); err == nil {
		t.Error("another token was taken")
	}
}

func TestRotatedCertificatesAreMadeAnew(t *testing.T) {
	o := someOptions(t)
	if err := certificates(o); err != nil {
		t.Fatal(err)
	}
	admin, authority := certificate(t, o.tls("client-admin.crt")), certificate(t, o.tls("client-ca.crt"))
	if err := certificateCommand([]string{"rotate", "--data-dir", o.dataDir}); err != nil {
		t.Fatal(err)
	}
	if err := certificates(o); err != nil {
		t.Fatal(err)
	}
	if certificate(t, o.tls("client-admin.crt")).Equal(admin) {
		t.Error("the client's certificate is the old one")
	}
	if !certificate(t, o.tls("client-ca.crt")).Equal(authority) {
		t.Error("the authority changed")
	}
}

func TestEncryptionIsNotTurnedOnLater(t *testing.T) {
	o := someOptions(t)
	if err := encryptionKey(o); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(encryptionConfig(o))
	if err != nil {
		t.Fatal(err)
	}
	o.known = true
	if err := encryptionKey(o); err != nil {
		t.Errorf("a server that has it: %v", err)
	}
	if after, _ := os.ReadFile(encryptionConfig(o)); string(after) != string(before) {
		t.Error("another key")
	}
	if err := os.Remove(encryptionConfig(o)); err != nil {
		t.Fatal(err)
	}
	if err := encryptionKey(o); err == nil {
		t.Error("turned on later")
	}
}

func TestTheKubeconfigWorksByItself(t *testing.T) {
	o := someOptions(t)
	if err := certificates(o); err != nil {
		t.Fatal(err)
	}
	if err := kubeconfig(o, o.kubeconfig, o.url(), "client-admin", o.kubeconfigMode); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil || config.Host != "https://127.0.0.1:6443" || len(config.CertData) == 0 || len(config.CAData) == 0 {
		t.Errorf("%v, %v", config, err)
	}
	if info, err := os.Stat(o.kubeconfig); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWhatIsSealedOpensWithItsTokenOnly(t *testing.T) {
	box, err := sealed([]byte("authority"), "swordfish")
	if err != nil {
		t.Fatal(err)
	}
	if content, err := opened(box, "swordfish"); err != nil || string(content) != "authority" {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := opened(box, "trout"); err == nil {
		t.Error("another token opens it")
	}
	if bootstrapKey("swordfish") == bootstrapKey("trout") || len(bootstrapKey("x")) != len("/bootstrap/")+12 {
		t.Error(bootstrapKey("swordfish"), bootstrapKey("trout"))
	}
}

func TestTheDatastoreThatIsThereStays(t *testing.T) {
	o := someOptions(t)
	for _, asked := range []bool{true, false} {
		if etcd := usesEtcd(o, asked); etcd != asked {
			t.Errorf("new, asked %v: %v", asked, etcd)
		}
	}
	if err := os.WriteFile(o.at("db", "state.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if usesEtcd(o, false) || !usesEtcd(o, true) {
		t.Error("SQLite stays unless etcd is asked for, and then it moves")
	}
	if err := os.MkdirAll(o.at("db", "etcd", "member"), 0o700); err != nil {
		t.Fatal(err)
	}
	if !usesEtcd(o, false) {
		t.Error("etcd stays")
	}
}

func TestTheNameOfTheMemberIsThereWithSQLiteToo(t *testing.T) {
	o := someOptions(t)
	if err := folders(o); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(o.at("db", "etcd", "name"))
	if err != nil || !strings.HasPrefix(string(first), o.nodeName+"-") {
		t.Fatalf("%q, %v", first, err)
	}
	if err := folders(o); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(o.at("db", "etcd", "name")); err != nil || !bytes.Equal(first, again) {
		t.Errorf("%q, %v", again, err)
	}
	if usesEtcd(o, false) {
		t.Error("the folder alone is taken for etcd")
	}
}
