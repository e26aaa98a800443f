package k3s

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/grpclog"

	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

const (
	etcdClientURL = "http://127.0.0.1:2379"
	etcdPeerURL   = "http://127.0.0.1:2380"
	etcdName      = "k3s"
)

// A client that cannot connect yet logs that by itself.
func init() { grpclog.SetLoggerV2(grpclog.NewLoggerV2(discard{}, discard{}, discard{})) }

type discard struct{}

func (discard) Write(text []byte) (int, error) { return len(text), nil }

// usesEtcd says which datastore a server has: etcd when it is asked for or is
// there already, else SQLite. k3s moves what is in SQLite to etcd; that is not
// part of the sandbox.
func usesEtcd(o *options, asked bool) (bool, error) {
	if exists(o.at("db", "etcd")) {
		return true, nil
	}
	if asked && exists(o.at("db", "state.db")) {
		return false, errors.New("moving the data of SQLite to etcd is not part of the sandbox")
	}
	return asked, nil
}

// datastore starts kine with SQLite or etcd and returns when it answers.
func (s *server) datastore(ctx context.Context) error {
	o := s.options
	if !o.etcd {
		if err := s.start("kine", kineArgs()); err != nil {
			return err
		}
		return awaitSocket(ctx, o.at("kine.sock"))
	}
	if err := s.start("etcd", etcdArgs(o)); err != nil {
		return err
	}
	return awaitEtcd(ctx)
}

// etcdArgs run a cluster of one. k3s has certificates in front of it; here it
// is reached on loopback only, and without.
func etcdArgs(o *options) []string {
	return []string{
		"--name=" + etcdName,
		"--data-dir=" + o.at("db", "etcd"),
		"--listen-client-urls=" + etcdClientURL,
		"--advertise-client-urls=" + etcdClientURL,
		"--listen-peer-urls=" + etcdPeerURL,
		"--initial-advertise-peer-urls=" + etcdPeerURL,
		"--initial-cluster=" + etcdName + "=" + etcdPeerURL,
		"--log-level=warn",
	}
}

// endpoint is where the API server finds the datastore.
func (o *options) endpoint() string {
	if o.etcd {
		return etcdClientURL
	}
	return "unix://" + o.at("kine.sock")
}

// client opens the datastore: kine and etcd speak the same protocol.
func (o *options) client() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{o.endpoint()}, DialTimeout: 5 * time.Second, Logger: zap.NewNop(),
	})
}

func awaitEtcd(ctx context.Context) error {
	client, err := (&options{etcd: true}).client()
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		_, err := client.Get(asking, "health")
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// etcdProgram is a program of etcd's release, in the version that runs.
func etcdProgram(name string) (string, error) {
	path := filepath.Join(spawn.BinDir, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("this sandbox has no %s: it was built without etcd", name)
	}
	return path, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
