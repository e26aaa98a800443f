package gpuplugin

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAKubeletThatStartsAnewIsNoticed(t *testing.T) {
	folder := t.TempDir()
	kubelet, own := filepath.Join(folder, "kubelet.sock"), filepath.Join(folder, "own.sock")
	put := func(path string) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(kubelet)
	put(own)
	before, err := os.Stat(kubelet)
	if err != nil {
		t.Fatal(err)
	}
	if another(before, kubelet, own) {
		t.Error("nothing happened")
	}
	if err := os.Chtimes(kubelet, time.Time{}, before.ModTime().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if !another(before, kubelet, own) {
		t.Error("another socket with the same inode")
	}
	if before, err = os.Stat(kubelet); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	if !another(before, kubelet, own) {
		t.Error("a kubelet that starts removes the plugins' sockets")
	}
	put(own)
	if err := os.Remove(kubelet); err != nil {
		t.Fatal(err)
	}
	if !another(before, kubelet, own) {
		t.Error("a kubelet that ended")
	}
}
