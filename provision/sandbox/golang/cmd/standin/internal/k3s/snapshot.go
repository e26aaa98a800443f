package k3s

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"
)

// etcdSnapshot runs `k3s etcd-snapshot save|ls|delete` (https://docs.k3s.io/cli/etcd-snapshot).
func etcdSnapshot(args []string) error {
	if len(args) == 0 || !slices.Contains([]string{"save", "ls", "list", "delete"}, args[0]) {
		return fmt.Errorf("%q is not part of the sandbox: save, ls and delete are", "etcd-snapshot "+strings.Join(args, " "))
	}
	flags := pflag.NewFlagSet("k3s etcd-snapshot", pflag.ContinueOnError)
	dataDir := flags.StringP("data-dir", "d", defaultDataDir, "")
	folder := flags.String("etcd-snapshot-dir", "", "")
	flags.StringVar(folder, "dir", "", "")
	name := flags.String("name", "on-demand", "")
	flags.StringP("token", "t", "", "")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	o := &options{dataDir: *dataDir, etcd: true}
	if *folder == "" {
		*folder = o.at("db", "snapshots")
	}
	switch args[0] {
	case "ls", "list":
		return listSnapshots(*folder)
	case "delete":
		return deleteSnapshots(*folder, flags.Args())
	}
	if !hasEtcd(o) {
		return errors.New("etcd datastore disabled")
	}
	node, err := os.Hostname()
	if err != nil {
		return err
	}
	if found, err := readSettings(nil, os.Getenv); err == nil {
		node = strings.ToLower(found.text("node-name", node))
	}
	path := filepath.Join(*folder, fmt.Sprintf("%s-%s-%d", *name, node, time.Now().Unix()))
	if err := saveSnapshot(o, path); err != nil {
		return err
	}
	logf("Snapshot %s saved.", filepath.Base(path))
	return nil
}

// saveSnapshot writes what the running etcd streams: the whole database and
// its sha256.
func saveSnapshot(o *options, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	client, err := o.client()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	asking, stop := context.WithTimeout(ctx, 5*time.Second)
	_, err = client.Get(asking, "health")
	stop()
	if err != nil {
		return fmt.Errorf("see if the server is running: %w", err)
	}
	stream, err := client.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	file, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(path + ".part")
	if _, err := io.Copy(file, stream); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

func deleteSnapshots(folder string, names []string) error {
	for _, name := range names {
		if name != filepath.Base(name) {
			return fmt.Errorf("%q is no snapshot's name", name)
		}
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			return err
		}
		logf("Snapshot %s deleted.", name)
	}
	return nil
}

func listSnapshots(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, "Name\tLocation\tSize\tCreated")
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || strings.HasSuffix(entry.Name(), ".part") {
			continue
		}
		location := "file://" + filepath.Join(folder, entry.Name())
		created := info.ModTime().UTC().Format(time.RFC3339)
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", entry.Name(), location, info.Size(), created)
	}
	return table.Flush()
}
