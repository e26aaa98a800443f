// Command pulumi-resource-kubernetes is Pulumi's kubernetes plugin, built from
// its Go module for the conformance tests. The build places the module's
// schema beside this file; it is not part of the project.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

//go:embed schema.json
var schema []byte

func main() {
	provider.Serve("kubernetes", version.Version, schema, []byte("{}"))
}
