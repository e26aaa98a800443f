package fluxd

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var (
	errNoVersions = errors.New("version list argument cannot be empty")
	errNoneFits   = errors.New("unable to determine latest version from provided list")
)

// invalidPolicy is a policy that no list of tags can satisfy: it is not tried again.
type invalidPolicy struct{ error }

// excluded leaves out the tags that match one of the patterns.
func excluded(tags, patterns []string) ([]string, error) {
	var all []*regexp.Regexp
	for _, pattern := range patterns {
		compiled, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("failed to compile regex %s: %w", pattern, err)
		}
		all = append(all, compiled)
	}
	return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return slices.ContainsFunc(all, func(one *regexp.Regexp) bool { return one.MatchString(tag) })
	}), nil
}

// latestTag selects the tag that an ImagePolicy is after.
func latestTag(policy *unstructured.Unstructured, tags []string) (string, error) {
	_, filtered, _ := unstructured.NestedMap(policy.Object, "spec", "filterTags")
	if !filtered {
		return best(policy, tags)
	}
	pattern, err := regexp.Compile(text(policy, "spec", "filterTags", "pattern"))
	if err != nil {
		return "", invalidPolicy{fmt.Errorf("failed to filter tags: %w", err)}
	}
	extract := text(policy, "spec", "filterTags", "extract")
	// The tag of each version; several tags may have the same one.
	originals := map[string]string{}
	var versions []string
	for _, tag := range tags {
		match := pattern.FindStringSubmatchIndex(tag)
		if match == nil {
			continue
		}
		version := tag
		if extract != "" {
			version = string(pattern.ExpandString(nil, extract, tag, match))
		}
		originals[version] = tag
		versions = append(versions, version)
	}
	version, err := best(policy, versions)
	return originals[version], err
}

// best is the highest version by the rule of the policy.
func best(policy *unstructured.Unstructured, versions []string) (string, error) {
	rules, _, _ := unstructured.NestedMap(policy.Object, "spec", "policy")
	for rule := range rules {
		if rule != "semver" && rule != "alphabetical" && rule != "numerical" {
			return "", invalidPolicy{fmt.Errorf("the elysium sandbox knows no policy %q", rule)}
		}
	}
	if len(rules) != 1 {
		return "", invalidPolicy{fmt.Errorf("invalid policy: one of semver, alphabetical and numerical is wanted, not %d",
			len(rules))}
	}
	if _, semantic := rules["semver"]; semantic {
		return bestSemantic(text(policy, "spec", "policy", "semver", "range"), versions)
	}
	if len(versions) == 0 {
		return "", errNoVersions
	}
	if _, numerical := rules["numerical"]; numerical {
		return bestNumber(text(policy, "spec", "policy", "numerical", "order"), versions)
	}
	sorted := slices.Sorted(slices.Values(versions))
	if text(policy, "spec", "policy", "alphabetical", "order") == "desc" {
		return sorted[0], nil
	}
	return sorted[len(sorted)-1], nil
}

func bestSemantic(wanted string, versions []string) (string, error) {
	constraint, err := semver.NewConstraint(wanted)
	if err != nil {
		return "", invalidPolicy{fmt.Errorf("invalid policy: %w", err)}
	}
	if len(versions) == 0 {
		return "", errNoVersions
	}
	var highest *semver.Version
	for _, one := range versions {
		version, err := semver.NewVersion(one)
		if err != nil || !constraint.Check(version) {
			continue
		}
		if highest == nil || version.GreaterThan(highest) {
			highest = version
		}
	}
	if highest == nil {
		return "", errNoneFits
	}
	return highest.Original(), nil
}

func bestNumber(order string, versions []string) (string, error) {
	highest, number := "", 0.0
	for _, one := range versions {
		value, err := strconv.ParseFloat(one, 64)
		if err != nil {
			return "", fmt.Errorf("failed to parse invalid numeric value '%s'", one)
		}
		if highest == "" || value > number == (order != "desc") && value != number {
			highest, number = one, value
		}
	}
	return highest, nil
}
