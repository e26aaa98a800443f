package attach

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"testing"
)

func TestWhatIsPackedIsRead(t *testing.T) {
	packed, err := pack(Data{Version: "v1.36.3+k3s1", CRDs: map[string]string{"a.yaml": "kind: A"}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := Read(bytes.NewReader(append([]byte("the program itself"), packed...)))
	if err != nil {
		t.Fatal(err)
	}
	if data.Version != "v1.36.3+k3s1" || data.CRDs["a.yaml"] != "kind: A" {
		t.Errorf("read %+v", data)
	}
}

func TestAPlainBinaryCarriesNothing(t *testing.T) {
	for _, content := range []string{"", "short", "long enough to hold a tail, but without one"} {
		data, err := Read(bytes.NewReader([]byte(content)))
		if err != nil || data.Version != "" {
			t.Errorf("%q: read %+v, %v", content, data, err)
		}
	}
}

func TestATruncatedAttachmentIsAnError(t *testing.T) {
	packed, err := pack(Data{Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(bytes.NewReader(packed[5:])); err == nil {
		t.Error("no error")
	}
}

// pack returns the bytes to append to a binary so that it carries data.
func pack(data Data) ([]byte, error) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if err := json.NewEncoder(zip).Encode(data); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	length := binary.BigEndian.AppendUint64(nil, uint64(packed.Len()))
	return append(append(packed.Bytes(), length...), magic...), nil
}
