package agent

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Publish gives the Service "kubernetes" its endpoint: the server's own
// listener, as k3s' API server does it. That of Kubernetes can name no port but
// the one that it listens on, which only this machine reaches.
func Publish(ctx context.Context, config *rest.Config, node Node) error {
	api, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	name, port, protocol, ready := "https", int32(node.Port), corev1.ProtocolTCP, true
	meta := metav1.ObjectMeta{Name: "kubernetes", Namespace: metav1.NamespaceDefault}
	endpoints := &corev1.Endpoints{ObjectMeta: meta} //nolint:staticcheck // k3s has both
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta}
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		_, err = ctrl.CreateOrUpdate(ctx, api, endpoints, func() error {
			metav1.SetMetaDataLabel(&endpoints.ObjectMeta, discoveryv1.LabelSkipMirror, "true")
			endpoints.Subsets = []corev1.EndpointSubset{{ //nolint:staticcheck // as above
				Addresses: []corev1.EndpointAddress{{IP: node.IP}},
				Ports:     []corev1.EndpointPort{{Name: name, Port: port, Protocol: protocol}},
			}}
			return nil
		})
		// The API server makes its namespaces when it is ready already.
		if err == nil || time.Since(begun) > 10*time.Second || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	_, err = ctrl.CreateOrUpdate(ctx, api, slice, func() error {
		metav1.SetMetaDataLabel(&slice.ObjectMeta, discoveryv1.LabelServiceName, meta.Name)
		slice.AddressType = discoveryv1.AddressTypeIPv4
		slice.Endpoints = []discoveryv1.Endpoint{{
			Addresses: []string{node.IP}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		}}
		slice.Ports = []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}}
		return nil
	})
	return err
}
