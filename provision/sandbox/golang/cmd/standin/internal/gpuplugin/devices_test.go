package gpuplugin

import "testing"

func TestSharedDevices(t *testing.T) {
	for _, test := range []struct {
		args []string
		want int
	}{
		{nil, 1},
		{[]string{"-shared-dev-num=10", "-enable-monitoring"}, 10},
		{[]string{"--shared-dev-num", "4"}, 4},
		{[]string{"-shared-dev-num", "none"}, 1},
		{[]string{"-shared-dev-num"}, 1},
	} {
		if got := sharedDevices(test.args); got != test.want {
			t.Errorf("%q: %d", test.args, got)
		}
	}
}
