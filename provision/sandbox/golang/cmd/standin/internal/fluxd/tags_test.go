package fluxd

import (
	"slices"
	"strings"
	"testing"
)

func policyOf(spec map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy",
		"metadata": map[string]any{"name": "web", "namespace": "apps"}, "spec": spec,
	}
}

func rule(name, key, value string) map[string]any {
	return map[string]any{name: map[string]any{key: value}}
}

func TestTheLatestTag(t *testing.T) {
	plex := map[string]any{"pattern": `^(?P<version>[0-9]+\.[0-9]+\.[0-9]+)\.[0-9]+-[0-9a-f]+$`, "extract": "$version"}
	for name, test := range map[string]struct {
		policy, filter  map[string]any
		tags            []string
		want, complaint string
	}{
		"the highest of a range":       {rule("semver", "range", "1.x"), nil, []string{"1.2.0", "v1.10.0", "2.0.0", "latest"}, "v1.10.0", ""},
		"no candidate of a release":    {rule("semver", "range", ">=1.0.0"), nil, []string{"1.0.0", "1.1.0-rc.1"}, "1.0.0", ""},
		"none in the range":            {rule("semver", "range", ">=3.0.0"), nil, []string{"1.2.0"}, "", "unable to determine latest version"},
		"no tag matches":               {rule("semver", "range", ">=1.0.0"), plex, []string{"latest"}, "", "version list argument cannot be empty"},
		"the tag of an extracted part": {rule("semver", "range", ">=1.41.0"), plex, []string{"1.41.3.9314-a0bfb8370", "1.40.9.1-ff", "1.41.10.1-ab", "plexpass"}, "1.41.10.1-ab", ""},
		"the last letters":             {rule("alphabetical", "order", "asc"), nil, []string{"b", "c", "a"}, "c", ""},
		"the first letters":            {rule("alphabetical", "order", "desc"), nil, []string{"b", "c", "a"}, "a", ""},
		"the highest number":           {rule("numerical", "order", "asc"), nil, []string{"9", "10", "2"}, "10", ""},
		"the lowest number":            {rule("numerical", "order", "desc"), nil, []string{"9", "10", "2"}, "2", ""},
		"no number":                    {rule("numerical", "order", "asc"), nil, []string{"9", "x"}, "", "invalid numeric value 'x'"},
		"a wrong range":                {rule("semver", "range", "soon"), nil, []string{"1.0.0"}, "", "improper constraint"},
		"a rule that is not known":     {rule("newest", "order", "asc"), nil, []string{"1"}, "", `knows no policy "newest"`},
	} {
		spec := map[string]any{"policy": test.policy}
		if test.filter != nil {
			spec["filterTags"] = test.filter
		}
		got, err := latestTag(objectOf(policyOf(spec)), test.tags)
		if got != test.want || (err == nil) != (test.complaint == "") ||
			err != nil && !strings.Contains(err.Error(), test.complaint) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestExcludedTagsAreNotFound(t *testing.T) {
	got, err := excluded([]string{"1.0", "sha256-a.sig", "1.0-dev"}, []string{`^.*\.sig$`, "dev"})
	if err != nil || !slices.Equal(got, []string{"1.0"}) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := excluded(nil, []string{"("}); err == nil {
		t.Error("a wrong pattern was taken")
	}
}
