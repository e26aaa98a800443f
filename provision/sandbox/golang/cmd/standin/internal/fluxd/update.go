package fluxd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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

// latest is the image that a policy elected.
type latest struct{ name, tag, digest string }

// part is what a marker asks for of the image; false when there is no such part.
func (l latest) part(name string) (string, bool) {
	switch name {
	case "name":
		return l.name, true
	case "tag":
		return l.tag, true
	case "digest":
		return l.digest, l.digest != ""
	}
	if l.digest != "" {
		return l.name + ":" + l.tag + "@" + l.digest, true
	}
	return l.name + ":" + l.tag, true
}

// updateFiles puts the images of policies into the marked lines of the YAML
// files below folder, and returns what changed; files are named relative to
// root.
func updateFiles(folder, root string, images map[string]latest) ([]change, error) {
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
		after, found := update(string(before), images)
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

// update puts the images into the marked lines of content.
func update(content string, images map[string]latest) (string, []change) {
	var changes []change
	lines := strings.Split(content, "\n")
	for i, line := range lines {
		match := marked.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		value, policy, part := match[2], match[4], match[5]
		image, known := images[policy]
		if !known {
			continue
		}
		next, known := image.part(part)
		if !known {
			continue
		}
		if next != value {
			changes = append(changes, change{OldValue: value, NewValue: next, Setter: policy})
			lines[i] = match[1] + next + match[3]
		}
	}
	return strings.Join(lines, "\n"), changes
}
