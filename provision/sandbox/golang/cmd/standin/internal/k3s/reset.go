package k3s

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// clusterReset runs `k3s server --cluster-reset`, with or without a snapshot
// to restore (https://docs.k3s.io/cli/etcd-snapshot): etcd becomes a cluster of
// one with what is in the snapshot, the authorities and keys come out of it by
// the token, and the command ends.
func (s *server) clusterReset(ctx context.Context, snapshot, password string) error {
	o := s.options
	ctx, cancel := s.watched(ctx)
	defer cancel(nil)
	if snapshot == "" && exists(o.resetFlag()) {
		return fmt.Errorf("Managed etcd cluster membership was previously reset, please remove the cluster-reset "+ //nolint:staticcheck // k3s' words
			"flag and start k3s normally. If you need to perform another cluster reset, you must first manually "+
			"delete the %s file", o.resetFlag())
	}
	if snapshot != "" {
		if err := restoreSnapshot(o, snapshot); err != nil {
			return err
		}
	} else if !hasEtcd(o) {
		return fmt.Errorf("cluster-reset: there is no etcd in %s", o.at("db"))
	}
	arguments := etcdArgs(o)
	if snapshot == "" {
		arguments = append(arguments, "--force-new-cluster")
	}
	if err := s.start("etcd", arguments); err != nil {
		return err
	}
	if err := awaitEtcd(ctx); err != nil {
		return cause(ctx, err)
	}
	found, err := loadBootstrap(ctx, o, password)
	if err != nil {
		return cause(ctx, err)
	}
	if !found {
		return fmt.Errorf("cluster-reset: there is no bootstrap data in the datastore")
	}
	if err := writeFile(o.resetFlag(), nil, 0o600); err != nil {
		return err
	}
	logf("Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. " +
		"Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes")
	return nil
}

// restoreSnapshot makes etcd's data of the snapshot, by etcd's own program,
// which checks its sha256; earlier data is kept beside it.
func restoreSnapshot(o *options, snapshot string) error {
	if !exists(snapshot) {
		return fmt.Errorf("etcd: snapshot path does not exist: %s", snapshot)
	}
	program, err := etcdProgram("etcdutl")
	if err != nil {
		return err
	}
	making := o.at("db", "etcd-restoring")
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	output, err := exec.Command(program, "snapshot", "restore", snapshot, "--data-dir="+making, "--name="+etcdName,
		"--initial-cluster="+etcdName+"="+etcdPeerURL, "--initial-advertise-peer-urls="+etcdPeerURL).CombinedOutput()
	if err != nil {
		return fmt.Errorf("restore %s: %w: %s", snapshot, err, output)
	}
	if hasEtcd(o) {
		kept := o.at("db", fmt.Sprintf("etcd-old-%d", time.Now().Unix()))
		if err := os.Rename(o.at("db", "etcd"), kept); err != nil {
			return err
		}
		logf("Pre-restore etcd database moved to %s", kept)
	}
	if err := memberName(o); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(making, "member"), o.at("db", "etcd", "member")); err != nil {
		return err
	}
	return os.RemoveAll(making)
}

func (o *options) resetFlag() string { return o.at("db", "reset-flag") }
