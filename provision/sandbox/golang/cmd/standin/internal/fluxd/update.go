package fluxd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// change is one line that got another image or tag.
type change struct {
	File     string
	OldValue string
	NewValue string
	Setter   string
}

// marked is a line with an image policy marker: what is before the value, the
// value, and the marker with its policy and, maybe, "tag" or "name".
var marked = regexp.MustCompile(
	`^(\s*(?:- )?[\w./-]+:\s*"?)([^\s"#]+)("?\s*#\s*\{\s*"\$imagepolicy"\s*:\s*"([^":]+:[^":]+)(?::(tag|name|digest))?"\s*\}.*)$`)

// numbered is a tag up to its last number, the number, and what follows.
var numbered = regexp.MustCompile(`^(.*\D|)(\d+)(\D*)$`)

// updateFiles puts the tags of policies into the marked lines of the YAML
// files below folder, and returns what changed; files are named relative to
// root.
func updateFiles(folder, root string, tags map[string]string) ([]change, error) {
	var changes []change
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch extension := filepath.Ext(path); {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return filepath.SkipDir
		case !entry.Type().IsRegular() || extension != ".yaml" && extension != ".yml":
			return nil
		}
		before, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		after, found := update(string(before), tags)
		if len(found) == 0 {
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, one := range found {
			one.File = filepath.ToSlash(name)
			changes = append(changes, one)
		}
		return os.WriteFile(path, []byte(after), 0o644)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("update path not found: " + filepath.Base(folder))
	}
	return changes, err
}

// update puts the tags into the marked lines of content.
func update(content string, tags map[string]string) (string, []change) {
	var changes []change
	lines := strings.Split(content, "\n")
	for i, line := range lines {
		match := marked.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		value, policy, part := match[2], match[4], match[5]
		tag, known := tags[policy]
		if !known || part == "name" || part == "digest" {
			continue
		}
		next := withTag(value, part, tag)
		if next != value {
			changes = append(changes, change{OldValue: value, NewValue: next, Setter: policy})
			lines[i] = match[1] + next + match[3]
		}
	}
	return strings.Join(lines, "\n"), changes
}

// withTag is value, a tag or a whole image, with that tag, or with the next
// one when none is given.
func withTag(value, part, tag string) string {
	image, old := "", value
	if part != "tag" {
		colon := strings.LastIndex(value, ":")
		if colon < strings.LastIndex(value, "/") || colon < 0 {
			return value // an image without a tag
		}
		image, old = value[:colon+1], value[colon+1:]
	}
	if tag == "" {
		tag = nextTag(old)
	}
	return image + tag
}

// nextTag counts the last number of a tag up: 1.2.3 becomes 1.2.4. A tag
// without a number stays.
func nextTag(tag string) string {
	match := numbered.FindStringSubmatch(tag)
	if match == nil {
		return tag
	}
	number, err := strconv.ParseUint(match[2], 10, 63)
	if err != nil {
		return tag
	}
	return match[1] + strconv.FormatUint(number+1, 10) + match[3]
}
