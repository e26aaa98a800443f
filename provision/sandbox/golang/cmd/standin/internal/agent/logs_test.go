package agent

import "testing"

func TestLastLines(t *testing.T) {
	const content = "one\ntwo\nthree\n"
	for count, want := range map[string]string{
		"": content, "1": "three\n", "2": "two\nthree\n", "3": content, "9": content, "all": content, "0": "",
	} {
		if got := string(lastLines([]byte(content), count)); got != want {
			t.Errorf("%q: %q", count, got)
		}
	}
}
