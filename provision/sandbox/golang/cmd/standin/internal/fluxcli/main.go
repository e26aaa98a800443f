package fluxcli

import "errors"

func Main(name string, args []string) error { return errors.New("not yet") }
