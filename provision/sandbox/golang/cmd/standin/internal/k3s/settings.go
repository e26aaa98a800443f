package k3s

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const configPath = "/etc/rancher/k3s/config.yaml"

// settings are the flags in force, by name. The last value of a text flag
// counts, all values of a list do.
type settings struct {
	values map[string][]string
	// warnings say what was read and does nothing, as k3s logs it.
	warnings []string
}

// readSettings takes `k3s server` flags from the configuration file and its
// drop-ins, from the environment and from the command line, in that order of
// growing precedence.
//
// As with k3s, an unknown key of a file is logged and skipped, and an unknown
// flag on the command line is an error.
func readSettings(args []string, environ func(string) string) (*settings, error) {
	result := &settings{values: map[string][]string{}}
	given, err := parseFlags(args)
	if err != nil {
		return nil, err
	}
	path := configPath
	if named := given.values["config"]; len(named) > 0 {
		path = named[len(named)-1]
	} else if named := environ("K3S_CONFIG_FILE"); named != "" {
		path = named
	}
	if err := result.readFiles(path); err != nil {
		return nil, err
	}
	for variable, name := range map[string]string{
		"K3S_TOKEN": "token", "K3S_TOKEN_FILE": "token-file", "K3S_NODE_NAME": "node-name",
		"K3S_KUBECONFIG_OUTPUT": "write-kubeconfig", "K3S_KUBECONFIG_MODE": "write-kubeconfig-mode",
		"K3S_DATASTORE_ENDPOINT": "datastore-endpoint", "K3S_DATA_DIR": "data-dir", "K3S_URL": "server",
	} {
		if value := environ(variable); value != "" {
			result.values[name] = []string{value}
		}
	}
	for name, values := range given.values {
		if knownFlags[name] == list {
			values = append(slices.Clone(result.values[name]), values...)
		}
		result.values[name] = values
	}
	for name := range result.values {
		if !honoured[name] {
			result.warn("--%s is accepted and has no effect in the sandbox", name)
		}
	}
	sort.Strings(result.warnings)
	return result, nil
}

// parseFlags reads a command line.
func parseFlags(args []string) (*settings, error) {
	result := &settings{values: map[string][]string{}}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") || args[i] == "-" {
			return nil, fmt.Errorf("unexpected argument %q", args[i])
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		name = longName(name)
		wants, known := knownFlags[name]
		switch {
		case !known:
			return nil, fmt.Errorf("flag provided but not defined: -%s", name)
		case wants == flag && !hasValue:
			value = "true"
		case !hasValue:
			if i++; i == len(args) {
				return nil, fmt.Errorf("flag needs an argument: -%s", name)
			}
			value = args[i]
		}
		if err := result.add(name, value); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// readFiles reads path and the drop-ins in path + ".d", in order of name. A
// later file replaces the value of an earlier one, unless the key ends in "+":
// then a list grows.
func (s *settings) readFiles(path string) error {
	dropIns, err := filepath.Glob(filepath.Join(path+".d", "*"))
	if err != nil {
		return err
	}
	for _, name := range append([]string{path}, dropIns...) {
		if extension := filepath.Ext(name); extension != ".yaml" && extension != ".yml" {
			continue
		}
		content, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return err
		}
		if err := s.readFile(name, content); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) readFile(name string, content []byte) error {
	var keys map[string]any
	if err := yaml.Unmarshal(content, &keys); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for written, value := range keys {
		key, grows := strings.CutSuffix(written, "+")
		key = longName(key)
		if _, known := knownFlags[key]; !known {
			s.warn("Unknown flag --%s found in %s, skipping", key, filepath.Base(name))
			continue
		}
		if !grows {
			delete(s.values, key)
		}
		items, isList := value.([]any)
		if !isList {
			items = []any{value}
		}
		for _, item := range items {
			if item == nil {
				item = ""
			}
			if err := s.add(key, fmt.Sprint(item)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func (s *settings) add(name, value string) error {
	switch knownFlags[name] {
	case flag:
		if value == "" {
			value = "true"
		}
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("invalid value %q for flag -%s: parse error", value, name)
		}
		s.values[name] = []string{value}
	case list:
		if strings.HasSuffix(name, "-arg") {
			s.values[name] = append(s.values[name], value)
			break
		}
		for _, item := range strings.Split(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				s.values[name] = append(s.values[name], item)
			}
		}
	default:
		s.values[name] = []string{value}
	}
	return nil
}

func (s *settings) warn(format string, values ...any) {
	s.warnings = append(s.warnings, fmt.Sprintf(format, values...))
}

func (s *settings) text(name, otherwise string) string {
	if values := s.values[name]; len(values) > 0 && values[len(values)-1] != "" {
		return values[len(values)-1]
	}
	return otherwise
}

func (s *settings) list(name string, otherwise ...string) []string {
	if values := s.values[name]; len(values) > 0 {
		return values
	}
	return otherwise
}

func (s *settings) enabled(name string) bool {
	on, err := strconv.ParseBool(s.text(name, "false"))
	return err == nil && on
}
