package releases

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/postrenderer"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	kustypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"
)

type unstructuredObject = unstructured.Unstructured

// rendered is what happens between the templates of a chart and the cluster:
// the post-renderers of the release, its common metadata, and the labels that
// say which release an object belongs to.
type rendered struct{ release *helmv2.HelmRelease }

var _ postrenderer.PostRenderer = rendered{}

// Run implements Helm's interface.
func (r rendered) Run(manifests *bytes.Buffer) (*bytes.Buffer, error) {
	result := manifests
	for _, one := range r.release.Spec.PostRenderers {
		if one.Kustomize == nil {
			continue
		}
		built, err := customize(result, one.Kustomize)
		if err != nil {
			return nil, fmt.Errorf("post-renderer: %w", err)
		}
		result = built
	}
	objects, err := decode(result)
	if err != nil {
		return nil, err
	}
	output := &bytes.Buffer{}
	for _, object := range objects {
		r.label(object)
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			return nil, err
		}
		output.WriteString("---\n")
		output.Write(text)
	}
	return output, nil
}

// label adds the common metadata and the labels of origin.
func (r rendered) label(object *unstructuredObject) {
	labels, annotations := maps.Clone(object.GetLabels()), maps.Clone(object.GetAnnotations())
	if labels == nil {
		labels = map[string]string{}
	}
	if common := r.release.Spec.CommonMetadata; common != nil {
		maps.Copy(labels, common.Labels)
		if annotations == nil && len(common.Annotations) > 0 {
			annotations = map[string]string{}
		}
		maps.Copy(annotations, common.Annotations)
	}
	labels[nameLabel], labels[namespaceLabel] = r.release.Name, r.release.Namespace
	object.SetLabels(labels)
	if len(annotations) > 0 {
		object.SetAnnotations(annotations)
	}
}

// strategy is when hooks go through the post-renderers.
func strategy(release *helmv2.HelmRelease) action.PostRenderStrategy {
	switch release.GetPostRenderStrategy() {
	case helmv2.PostRenderStrategyNoHooks:
		return action.PostRenderStrategyNoHooks
	case helmv2.PostRenderStrategySeparate:
		return action.PostRenderStrategySeparate
	}
	return action.PostRenderStrategyCombined
}

// decode reads the objects of a manifest; empty documents are left out.
func decode(manifest io.Reader) ([]*unstructuredObject, error) {
	var objects []*unstructuredObject
	documents := utilyaml.NewYAMLOrJSONDecoder(manifest, 4096)
	for {
		object := &unstructuredObject{}
		if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// customize runs kustomize over the manifests, with patches and images of a
// post-renderer.
func customize(manifests *bytes.Buffer, with *helmv2.Kustomize) (*bytes.Buffer, error) {
	const input = "all.yaml"
	disk := filesys.MakeFsInMemory()
	if err := disk.WriteFile(input, manifests.Bytes()); err != nil {
		return nil, err
	}
	kustomization := kustypes.Kustomization{Resources: []string{input}}
	kustomization.APIVersion, kustomization.Kind = kustypes.KustomizationVersion, kustypes.KustomizationKind
	for _, patch := range with.Patches {
		entry := kustypes.Patch{Patch: patch.Patch}
		if target := patch.Target; target != nil {
			entry.Target = &kustypes.Selector{
				ResId: resid.ResId{
					Gvk:  resid.Gvk{Group: target.Group, Version: target.Version, Kind: target.Kind},
					Name: target.Name, Namespace: target.Namespace,
				},
				AnnotationSelector: target.AnnotationSelector, LabelSelector: target.LabelSelector,
			}
		}
		kustomization.Patches = append(kustomization.Patches, entry)
	}
	for _, image := range with.Images {
		kustomization.Images = append(kustomization.Images, kustypes.Image{
			Name: image.Name, NewName: image.NewName, NewTag: image.NewTag, Digest: image.Digest,
		})
	}
	text, err := yaml.Marshal(kustomization)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile("kustomization.yaml", text); err != nil {
		return nil, err
	}
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = kustypes.LoadRestrictionsRootOnly
	var built resmap.ResMap
	if built, err = krusty.MakeKustomizer(options).Run(disk, "."); err != nil {
		return nil, err
	}
	output, err := built.AsYaml()
	return bytes.NewBuffer(output), err
}
