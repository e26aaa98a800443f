package releases

import (
	"fmt"
	"strings"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
)

// reasonUnsupported is the reason of a release that asks for something that
// this stand-in does not do.
const reasonUnsupported = "UnsupportedBySandbox"

// unsupported returns what the release asks for and this controller does not
// do, or an empty text.
func unsupported(release *helmv2.HelmRelease) string {
	var fields []string
	refuse := func(present bool, field string) {
		if present {
			fields = append(fields, field)
		}
	}
	refuse(release.Spec.KubeConfig != nil, "spec.kubeConfig")
	for i, rule := range release.GetDriftDetection().Ignore {
		if target := rule.Target; target != nil {
			refuse(target.AnnotationSelector != "", fmt.Sprintf("spec.driftDetection.ignore[%d].target.annotationSelector", i))
		}
	}
	if len(fields) == 0 {
		return ""
	}
	return "the elysium sandbox does not support " + strings.Join(fields, ", ")
}
