package k3s

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"k8s.io/client-go/tools/clientcmd"
)

// folders makes the folders of a server.
func folders(o *options) error {
	for _, directory := range []string{"tls", "cred", "db", "logs", "manifests"} {
		if err := os.MkdirAll(o.at(directory), 0o700); err != nil {
			return err
		}
	}
	return memberName(o)
}

// prepare makes what a server finds on its disk before the API starts, where
// the datastore did not bring it: authorities, certificates, tokens,
// kubeconfigs, the encryption key.
func prepare(o *options, password string) error {
	if err := certificates(o); err != nil {
		return err
	}
	if err := writeToken(o, password); err != nil {
		return err
	}
	if o.encrypt {
		if err := encryptionKey(o); err != nil {
			return err
		}
	}
	nodePassword := "/etc/rancher/node/password"
	if _, err := os.Stat(nodePassword); os.IsNotExist(err) {
		if err := writeFile(nodePassword, []byte(randomHex(16)+"\n"), 0o600); err != nil {
			return err
		}
	}
	internal := o.apiURL()
	if err := kubeconfig(o, o.at("cred", "controller.kubeconfig"), internal, "client-controller", 0o600); err != nil {
		return err
	}
	if err := kubeconfig(o, o.at("cred", "admin.kubeconfig"), internal, "client-admin", 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.kubeconfig), 0o755); err != nil {
		return err
	}
	return kubeconfig(o, o.kubeconfig, o.url(), "client-admin", o.kubeconfigMode)
}

func certificates(o *options) error {
	directory := o.at("tls")
	server, err := openAuthority(directory, "server-ca")
	if err != nil {
		return err
	}
	client, err := openAuthority(directory, "client-ca")
	if err != nil {
		return err
	}
	signing := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.certificate.Raw})
	if err := writeFile(o.tls("client-ca.nochain.crt"), signing, 0o644); err != nil {
		return err
	}
	proxy, err := openAuthority(directory, "request-header-ca")
	if err != nil {
		return err
	}
	_, services, err := net.ParseCIDR(strings.Split(o.serviceCIDR, ",")[0])
	if err != nil {
		return err
	}
	first := append(net.IP(nil), services.IP...)
	first[len(first)-1]++
	serving := leaf{
		name:  "kube-apiserver",
		names: []string{"kubernetes.default.svc", "kubernetes.default", "kubernetes", "localhost", o.nodeName},
	}
	serving.names = append(serving.names, "kubernetes.default.svc.cluster.local")
	for _, address := range append([]string{"127.0.0.1", "::1", first.String(), o.nodeIP}, o.tlsSAN...) {
		if ip := net.ParseIP(address); ip != nil {
			serving.addresses = append(serving.addresses, ip)
		} else {
			serving.names = append(serving.names, address)
		}
	}
	for _, step := range []struct {
		by   *authority
		name string
		what leaf
	}{
		{server, "serving-kube-apiserver", serving},
		{server, "serving-kubelet", leaf{
			name: o.nodeName, names: []string{o.nodeName, "localhost"}, addresses: []net.IP{net.ParseIP(o.nodeIP)},
		}},
		{client, "client-admin", leaf{name: "system:admin", organization: "system:masters"}},
		{client, "client-kubelet", leaf{name: "system:node:" + o.nodeName, organization: "system:nodes"}},
		{client, "client-kube-proxy", leaf{name: "system:kube-proxy"}},
		{client, "client-scheduler", leaf{name: "system:kube-scheduler"}},
		{client, "client-controller", leaf{name: "system:kube-controller-manager"}},
		{client, "client-kube-apiserver", leaf{name: "system:apiserver", organization: "system:masters"}},
		{proxy, "client-auth-proxy", leaf{name: "system:auth-proxy"}},
	} {
		if err := step.by.issue(directory, step.name, step.what); err != nil {
			return err
		}
	}
	return serviceKey(o.tls("service.key"))
}

// startPassword is the secret part of the token that a server starts with: the
// configured one, the one on the disk, or a new one. A token other than the one
// the server was made with is refused, as k3s refuses it.
func startPassword(o *options) (string, error) {
	password := passwordOf(o.token)
	kept, err := tokenPassword(o)
	if err != nil && !os.IsNotExist(err) {
		return "", err
	}
	if err == nil {
		if password == "" {
			password = kept
		} else if password != kept && kept != "" {
			return "", errOtherToken
		}
	}
	if password == "" {
		password = randomHex(16)
	}
	return password, nil
}

// passwordOf is the secret part of a token, whether or not it names an authority.
func passwordOf(token string) string {
	if _, after, full := strings.Cut(token, "::server:"); full {
		return after
	}
	return token
}

// tokenPassword is the part of the token on the disk that is secret.
func tokenPassword(o *options) (string, error) {
	have, err := os.ReadFile(o.at("token"))
	if err != nil {
		return "", err
	}
	return passwordOf(strings.TrimSpace(string(have))), nil
}

// writeToken writes the token for a password, and the links that other
// programs read it by.
func writeToken(o *options, password string) error {
	path := o.at("token")
	authority, err := os.ReadFile(o.tls("server-ca.crt"))
	if err != nil {
		return err
	}
	token := fmt.Sprintf("K10%x::server:%s\n", sha256.Sum256(authority), password)
	if err := writeFile(path, []byte(token), 0o600); err != nil {
		return err
	}
	for _, link := range []string{"node-token", "agent-token"} {
		if _, err := os.Lstat(o.at(link)); os.IsNotExist(err) {
			if err := os.Symlink(path, o.at(link)); err != nil {
				return err
			}
		}
	}
	return nil
}

// encryptionKey writes the API server's encryption configuration once.
func encryptionKey(o *options) error {
	path := encryptionConfig(o)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if o.known {
		return fmt.Errorf("secrets-encryption cannot be turned on for a server that ran without it")
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	key := map[string]string{"name": "aescbckey", "secret": base64.StdEncoding.EncodeToString(secret)}
	content, err := json.Marshal(map[string]any{
		"kind":       "EncryptionConfiguration",
		"apiVersion": "apiserver.config.k8s.io/v1",
		"resources": []any{map[string]any{
			"resources": []string{"secrets"},
			"providers": []any{
				map[string]any{"aescbc": map[string]any{"keys": []any{key}}},
				map[string]any{"identity": map[string]any{}},
			},
		}},
	})
	if err != nil {
		return err
	}
	return writeFile(path, content, 0o600)
}

func encryptionConfig(o *options) string { return o.at("cred", "encryption-config.json") }

// kubeconfig writes a kubeconfig for the client certificate of that name and
// the API at that address, with everything inline.
func kubeconfig(o *options, path, address, client string, mode os.FileMode) error {
	read := func(name string) []byte {
		content, err := os.ReadFile(o.tls(name))
		if err != nil {
			return nil // an empty certificate is refused by whoever reads the file
		}
		return content
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["default"] = &clientcmdapi.Cluster{
		Server:                   address,
		CertificateAuthorityData: read("server-ca.crt"),
	}
	config.AuthInfos["default"] = &clientcmdapi.AuthInfo{
		ClientCertificateData: read(client + ".crt"),
		ClientKeyData:         read(client + ".key"),
	}
	config.Contexts["default"] = &clientcmdapi.Context{Cluster: "default", AuthInfo: "default"}
	config.CurrentContext = "default"
	content, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return writeFile(path, content, mode)
}

// url is where this node reaches its own API server.
func (o *options) url() string { return fmt.Sprintf("https://127.0.0.1:%d", o.port) }

// apiURL is where this node's own programs reach it, with nothing in between.
func (o *options) apiURL() string { return fmt.Sprintf("https://127.0.0.1:%d", o.apiPort()) }

func randomHex(bytes int) string {
	content := make([]byte, bytes)
	if _, err := rand.Read(content); err != nil {
		panic(err) // there is no machine left to run on without random numbers
	}
	return hex.EncodeToString(content)
}
