package k3s

import (
	"context"
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

// hasEtcd returns whether there is an etcd datastore. The folder db/etcd proves
// nothing: k3s makes it, with the member's name in it, for SQLite too.
func hasEtcd(o *options) bool { return exists(o.at("db", "etcd", "member")) }

// usesEtcd returns which datastore a server has: etcd when it is asked for or
// exists already, else SQLite.
func usesEtcd(o *options, asked bool) bool { return asked || hasEtcd(o) }

// memberName writes the name of the etcd member, which k3s does with any datastore.
func memberName(o *options) error {
	path := o.at("db", "etcd", "name")
	if exists(path) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(o.nodeName+"-"+randomHex(4)), 0o600)
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
	begins := !hasEtcd(o)
	if err := s.start("etcd", etcdArgs(o)); err != nil {
		return err
	}
	if err := awaitEtcd(ctx); err != nil {
		return err
	}
	if begins && exists(o.at("db", "state.db")) {
		return s.migrate(ctx)
	}
	return nil
}

// migrate copies the objects in SQLite to the etcd that runs and renames the
// SQLite file, as k3s does when it starts with etcd for the first time. It asks
// nobody, and k3s has no way back.
func (s *server) migrate(ctx context.Context) error {
	logf("Migrating content from sqlite to etcd")
	o := s.options
	kine, err := component(s.spawner, o, "kine", kineArgs())
	if err != nil {
		return err
	}
	defer kine.Stop(grace)
	if err := awaitSocket(ctx, o.at("kine.sock")); err != nil {
		return err
	}
	from, err := (&options{dataDir: o.dataDir}).client()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := o.client()
	if err != nil {
		return err
	}
	defer to.Close()
	found, err := from.Get(ctx, "/registry/", clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("failed to migrate content from sqlite to etcd: %w", err)
	}
	for _, each := range found.Kvs {
		if _, err := to.Put(ctx, string(each.Key), string(each.Value)); err != nil {
			return fmt.Errorf("failed to migrate content from sqlite to etcd: %w", err)
		}
	}
	return os.Rename(o.at("db", "state.db"), o.at("db", "state.db.migrated"))
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
