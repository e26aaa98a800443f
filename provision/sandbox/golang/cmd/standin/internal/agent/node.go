package agent

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	heartbeat    = 10 * time.Second
	leaseSeconds = 40
)

// nodeStatus keeps the Node object and its lease.
type nodeStatus struct {
	api     client.Client
	direct  client.Reader // past the cache, which may lag behind our own writes
	node    Node
	recheck chan struct{}
	// proven is set once the node's password was taken.
	proven bool
}

// check has the node's status looked at now.
func (s *nodeStatus) check() {
	select {
	case s.recheck <- struct{}{}:
	default: // it is asked for already
	}
}

func (s *nodeStatus) run(ctx context.Context) error {
	for {
		pause := time.Duration(heartbeat)
		if err := s.report(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			pause = soon
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.recheck:
		case <-time.After(pause):
		}
	}
}

// report writes what is not up to date of the Node, and renews the lease.
func (s *nodeStatus) report(ctx context.Context) error {
	if !s.proven {
		if s.node.WasReset {
			if err := forgetPassword(ctx, s.api, s.node.Name); err != nil {
				return err
			}
			s.node.WasReset = false
		}
		if err := provePassword(ctx, s.direct, s.api, s.node.Name); err != nil {
			fmt.Fprintf(os.Stderr, "k3s: %v\n", err)
			return err
		}
		s.proven = true
	}
	node := &corev1.Node{}
	err := s.direct.Get(ctx, client.ObjectKey{Name: s.node.Name}, node)
	if apierrors.IsNotFound(err) {
		s.proven = false // the password goes with the Node
		node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.node.Name}}
		node.Spec.Taints = parseTaints(s.node.Taints)
		s.describe(node)
		err = s.api.Create(ctx, node)
	}
	if err != nil {
		return err
	}
	before := node.DeepCopy()
	s.describe(node)
	if !equality.Semantic.DeepEqual(before.ObjectMeta, node.ObjectMeta) {
		if err := s.api.Patch(ctx, node, client.MergeFrom(before)); err != nil {
			return err
		}
		before = node.DeepCopy()
	}
	gpus, err := s.gpus(ctx)
	if err != nil {
		return err
	}
	s.fill(&node.Status, gpus, metav1.NewTime(time.Now().Truncate(time.Second)))
	if !equality.Semantic.DeepEqual(before.Status, node.Status) {
		if err := s.api.Status().Patch(ctx, node, client.MergeFrom(before)); err != nil {
			return err
		}
	}
	return s.lease(ctx, node)
}

// describe sets the labels and annotations a k3s server has.
func (s *nodeStatus) describe(node *corev1.Node) {
	labels := map[string]string{
		"beta.kubernetes.io/arch":               runtime.GOARCH,
		"beta.kubernetes.io/instance-type":      "k3s",
		"beta.kubernetes.io/os":                 runtime.GOOS,
		"kubernetes.io/arch":                    runtime.GOARCH,
		"kubernetes.io/hostname":                s.node.Name,
		"kubernetes.io/os":                      runtime.GOOS,
		"node-role.kubernetes.io/control-plane": "true",
		"node.kubernetes.io/instance-type":      "k3s",
	}
	maps.Copy(labels, s.node.Labels)
	for key, value := range labels {
		metav1.SetMetaDataLabel(&node.ObjectMeta, key, value)
	}
	for key, value := range map[string]string{
		"k3s.io/hostname":                 s.node.Name,
		"k3s.io/internal-ip":              s.node.IP,
		"sandbox.elysium.invalid/kubelet": "stood in by the elysium sandbox",
	} {
		metav1.SetMetaDataAnnotation(&node.ObjectMeta, key, value)
	}
}

func (s *nodeStatus) fill(status *corev1.NodeStatus, gpus corev1.ResourceList, now metav1.Time) {
	resources := corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(memory(), resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(250, resource.DecimalSI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(disk("/var/lib"), resource.BinarySI),
	}
	maps.Copy(resources, gpus)
	status.Capacity, status.Allocatable = resources, resources.DeepCopy()
	status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: s.node.IP},
		{Type: corev1.NodeHostName, Address: s.node.Name},
	}
	status.DaemonEndpoints.KubeletEndpoint.Port = kubeletPort
	status.NodeInfo = corev1.NodeSystemInfo{
		MachineID:               word("/etc/machine-id"),
		BootID:                  word("/proc/sys/kernel/random/boot_id"),
		KernelVersion:           word("/proc/sys/kernel/osrelease"),
		OSImage:                 osName(),
		ContainerRuntimeVersion: "elysium-sandbox://1",
		KubeletVersion:          s.node.Version,
		OperatingSystem:         runtime.GOOS,
		Architecture:            runtime.GOARCH,
	}
	for _, one := range []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID"},
		{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
			Message: "the elysium sandbox' agent stands in for the kubelet",
		},
	} {
		setNodeCondition(status, one, now)
	}
}

// setNodeCondition keeps the times of a condition that has not changed: the
// lease is the heartbeat.
func setNodeCondition(status *corev1.NodeStatus, wanted corev1.NodeCondition, now metav1.Time) {
	wanted.LastHeartbeatTime, wanted.LastTransitionTime = now, now
	for i := range status.Conditions {
		have := &status.Conditions[i]
		if have.Type != wanted.Type {
			continue
		}
		if have.Status != wanted.Status || have.Reason != wanted.Reason {
			*have = wanted
		}
		return
	}
	status.Conditions = append(status.Conditions, wanted)
}

func (s *nodeStatus) lease(ctx context.Context, node *corev1.Node) error {
	now := metav1.NewMicroTime(time.Now())
	seconds := int32(leaseSeconds)
	lease := &coordinationv1.Lease{}
	err := s.direct.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: node.Name}, lease)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	before := lease.DeepCopy()
	lease.Namespace, lease.Name = corev1.NamespaceNodeLease, node.Name
	lease.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = &node.Name, &seconds
	lease.Spec.RenewTime = &now
	if missing {
		return s.api.Create(ctx, lease)
	}
	return s.api.Patch(ctx, lease, client.MergeFrom(before))
}

// parseTaints reads key=value:effect.
func parseTaints(texts []string) []corev1.Taint {
	var result []corev1.Taint
	for _, text := range texts {
		what, effect, _ := strings.Cut(text, ":")
		key, value, _ := strings.Cut(what, "=")
		result = append(result, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)})
	}
	return result
}

func memory() int64 {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

func disk(path string) int64 {
	var info syscall.Statfs_t
	if err := syscall.Statfs(path, &info); err != nil {
		return 0
	}
	return int64(info.Blocks) * info.Bsize
}

func word(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(content))
}

func osName() string {
	for _, line := range strings.Split(word("/etc/os-release"), "\n") {
		if value, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			if name, err := strconv.Unquote(value); err == nil {
				return name
			}
		}
	}
	return "unknown"
}
