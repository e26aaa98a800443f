// Package attach reads the data carried at the end of a stand-in
// binary: the release it claims to be and the files it needs. Appending them
// to one built binary gives several "releases" without linking again, each
// with a checksum of its own, as real releases have.
//
// The layout is: the binary, a gzip stream of JSON, the length of that stream
// as eight bytes big endian, and eight bytes of magic. The sandbox' mirror
// writes it.
package attach

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

const magic = "ELYSATT1"

// Data is what a binary carries.
type Data struct {
	// Version is the release the binary answers with, for example
	// "v1.36.3+k3s1"; empty means a plain build.
	Version string `json:"version"`
	// CRDs are the custom resource definitions `flux install` prints, as YAML
	// by file name.
	CRDs map[string]string `json:"crds,omitempty"`
}

// Own returns what the running binary carries.
func Own() (Data, error) {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return Data{}, err
	}
	defer file.Close()
	return Read(file)
}

// Read returns what the binary in file carries; a binary without an
// attachment gives empty data.
func Read(file io.ReadSeeker) (Data, error) {
	const tail = int64(8 + len(magic))
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || size < tail {
		return Data{}, err
	}
	end := make([]byte, tail)
	if _, err := file.Seek(size-tail, io.SeekStart); err != nil {
		return Data{}, err
	}
	if _, err := io.ReadFull(file, end); err != nil {
		return Data{}, err
	}
	if string(end[8:]) != magic {
		return Data{}, nil
	}
	length := binary.BigEndian.Uint64(end)
	if length > uint64(size-tail) {
		return Data{}, fmt.Errorf("attachment of %d bytes in a file of %d", length, size)
	}
	if _, err := file.Seek(size-tail-int64(length), io.SeekStart); err != nil {
		return Data{}, err
	}
	unpacked, err := gzip.NewReader(io.LimitReader(file, int64(length)))
	if err != nil {
		return Data{}, fmt.Errorf("attachment: %w", err)
	}
	var data Data
	if err := json.NewDecoder(unpacked).Decode(&data); err != nil {
		return Data{}, fmt.Errorf("attachment: %w", err)
	}
	return data, nil
}
