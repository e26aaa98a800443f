package k3s

import (
	"strings"
	"testing"
)

func TestAnArgumentThatTheKubeletDoesNotKnowEndsK3s(t *testing.T) {
	for _, one := range []struct {
		options options
		ends    bool
		why     string
	}{
		{options{kubeletArgs: []string{"max-pods=200", "v=2"}, proxyArgs: []string{"proxy-mode=ipvs"}}, false, ""},
		{options{kubeletArgs: []string{"max-pods=200", "bogus=1"}}, true, ""},
		{options{proxyArgs: []string{"--bogus"}}, true, "unknown flag: --bogus"},
	} {
		ends, err := one.options.agentEnds()
		if ends != one.ends || (err == nil) != (one.why == "") {
			t.Errorf("%+v: %v, %v", one.options, ends, err)
		}
		if err != nil && !strings.Contains(err.Error(), one.why) {
			t.Errorf("%v", err)
		}
	}
}
