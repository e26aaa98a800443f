// Package releases reconciles HelmReleases with Helm's SDK.
//
// It follows the documentation of the HelmRelease API, version v2: one
// reconciliation runs at most one install or upgrade, its tests and one
// remediation. Fields that it does not implement are refused with a condition
// (refused.go), never ignored.
package releases

import (
	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// fieldManager owns the fields that the controller sets.
const fieldManager = "helm-controller"

// AddToScheme adds the types that the reconciler reads and writes.
func AddToScheme(scheme *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{
		helmv2.AddToScheme, sourcev1.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	return nil
}
