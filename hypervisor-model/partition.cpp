#include "hypervisor-model/partition.h"

#include <bit>
#include <utility>

#include "hypervisor-model/hypervisor.h"
#include "sim/error.h"

namespace hvsim::hv {

Partition::Partition(Hypervisor& hypervisor, PartitionId id, PartitionId parent, unsigned depth,
                     const PartitionFeatures& features, sim::Time created)
    : hypervisor_(hypervisor),
      id_(id),
      parent_(parent),
      depth_(depth),
      features_(features),
      pool_(hypervisor.ram()),
      gpa_space_(hypervisor.ram(), pool_,
                 hypervisor.config().vendor == Vendor::intel ? SlatFormat::ept : SlatFormat::npt,
                 hypervisor.config().physical_address_bits),
      time_(hypervisor.config().tsc_hz, created),
      router_({}) {
    gpa_space_.set_listener(this);
}

Partition::~Partition() {
    gpa_space_.set_listener(nullptr);
    for (auto& vp : vps_)
        if (vp && vp->has_context()) hypervisor_.services().backend.destroy_vp(*vp);
}

sim::Subject Partition::subject() const noexcept {
    return {.partition = static_cast<std::uint16_t>(id_)};
}

void Partition::set_state(PartitionState state, sim::Time now) {
    state_ = state;
    hypervisor_.recorder().record(sim::EventKind::kPartitionState, now, subject(),
                                  static_cast<std::uint64_t>(state));
}

HvStatus Partition::initialize(sim::Time now) {
    if (state_ != PartitionState::created) return HvStatus::invalid_partition_state;
    std::vector<std::uint64_t> pages;
    if (!pool_.allocate(2, pages)) return HvStatus::insufficient_memory;
    if (!gpa_space_.initialize()) {
        for (const std::uint64_t page : pages) pool_.release(page);
        return HvStatus::insufficient_memory;
    }
    hypercall_page_ = pages[0];
    reference_tsc_page_ = pages[1];
    own_pages_ = std::move(pages);
    fill_hypercall_page();
    set_state(PartitionState::active, now);
    return HvStatus::success;
}

HvStatus Partition::finalize(sim::Time now) {
    if (is_root()) return HvStatus::operation_denied;
    if (state_ == PartitionState::finalized) return HvStatus::invalid_partition_state;
    while (!ports_.empty()) delete_port(ports_.begin()->first);
    while (!connections_.empty()) disconnect(connections_.begin()->first);
    for (VpIndex index = 0; index < vps_.size(); ++index) delete_vp(index);
    set_intercept_memory(0);
    intercepts_ = InterceptTable{};
    for (const auto& [first, count] : gpa_space_.mapped().runs())
        for (std::uint64_t i = 0; i < count; ++i)
            if (const std::optional<GpaPage> page = gpa_space_.mapping(first + i))
                hypervisor_.pages().remove_mapping(page->system_page);
    gpa_space_.clear();
    for (const std::uint64_t page : own_pages_) pool_.release(page);
    own_pages_.clear();
    hypercall_msr_ = reference_tsc_msr_ = guest_os_id_ = 0;
    set_state(PartitionState::finalized, now);
    return HvStatus::success;
}

void Partition::reset(sim::Time now) {
    write_guest_os_id(0);
    write_reference_tsc(0);
    tsc_invariant_control_ = reenlightenment_ = 0;
    crash_parameters_.fill(0);
    crash_.reset();
    own_tsc_somewhere_ = false;
    for (auto& [id, port] : ports_) port.waiting = 0;
    for (VirtualProcessor* vp : vps()) vp->apply_reset(now);
}

// --- Memory for intercept entries: charged as the table grows ---

bool Partition::set_intercept_memory(std::size_t entries) {
    while (charged_intercepts_ < entries) {
        if (!pool_.charge(PoolObject::intercept)) return false;
        ++charged_intercepts_;
    }
    while (charged_intercepts_ > entries) {
        pool_.refund(PoolObject::intercept);
        --charged_intercepts_;
    }
    return true;
}

HvStatus Partition::install_intercept(InterceptType type, std::uint32_t access,
                                      std::uint64_t parameter) {
    if (!active()) return HvStatus::invalid_partition_state;
    if (!set_intercept_memory(intercepts_.entries() + 1)) {
        set_intercept_memory(intercepts_.entries());
        return HvStatus::insufficient_memory;
    }
    const HvStatus status = intercepts_.install(type, access, parameter);
    set_intercept_memory(intercepts_.entries());
    return status;
}

// --- Virtual processors ---

std::uint32_t Partition::apic_id_of(VpIndex index) const {
    if (processors_per_socket_ == 0) return index;
    // Sockets begin at a power of two, so that a shift tells them apart.
    const std::uint32_t stride = std::bit_ceil(processors_per_socket_);
    return index / processors_per_socket_ * stride + index % processors_per_socket_;
}

HvStatus Partition::create_vp(VpIndex index, sim::Time now) {
    if (!active()) return HvStatus::invalid_partition_state;
    if (index >= hypervisor_.config().max_vps || vp(index) != nullptr)
        return HvStatus::invalid_vp_index;
    std::vector<std::uint64_t> pages;
    if (!pool_.allocate(4, pages)) return HvStatus::insufficient_memory;
    auto created = std::make_unique<VirtualProcessor>(
        hypervisor_, *this, index, apic_id_of(index),
        VpPages{.simp = pages[0], .siefp = pages[1], .assist = pages[2], .object = pages[3]}, now);
    VpContext* context = hypervisor_.services().backend.create_vp(*this, *created);
    if (context == nullptr) {
        for (const std::uint64_t page : pages) pool_.release(page);
        return HvStatus::insufficient_memory;
    }
    created->attach(*context);
    if (index >= vps_.size()) vps_.resize(index + 1);
    vps_[index] = std::move(created);
    ++vp_count_;
    rebuild_router();
    vps_[index]->apply_reset(now);
    vps_[index]->set_explicit_suspend(!is_root(), now);
    return HvStatus::success;
}

HvStatus Partition::delete_vp(VpIndex index) {
    VirtualProcessor* old = vp(index);
    if (old == nullptr) return HvStatus::invalid_vp_index;
    old->remove_overlays();
    // Its messages end with it; their buffers are free again.
    for (const PortId id : old->synic().waiting_ports())
        if (Port* source = port(id)) --source->waiting;
    hypervisor_.services().backend.destroy_vp(*old);
    const VpPages pages = old->pages();
    vps_[index].reset();
    --vp_count_;
    for (const std::uint64_t page : {pages.simp, pages.siefp, pages.assist, pages.object})
        pool_.release(page);
    rebuild_router();
    return HvStatus::success;
}

VirtualProcessor* Partition::vp_by_apic_id(std::uint32_t apic_id) noexcept {
    // Mostly the two numbers are the same.
    if (VirtualProcessor* same = vp(apic_id); same != nullptr && same->apic_id() == apic_id)
        return same;
    for (VirtualProcessor* vp : routed_)
        if (vp->apic_id() == apic_id) return vp;
    return nullptr;
}

void Partition::rebuild_router() {
    routed_.clear();
    std::vector<apic::LocalApic*> apics;
    for (const auto& vp : vps_) {
        if (!vp) continue;
        routed_.push_back(vp.get());
        apics.push_back(&vp->apic());
    }
    router_ = apic::InterruptRouter(std::move(apics));
}

// --- Interrupts ---

unsigned Partition::deliver(const apic::InterruptMessage& message, apic::InterruptSource source,
                            sim::Time now) {
    std::vector<std::uint32_t> targets;
    router_.resolve(message, source, targets);
    apic::InterruptMessage arriving = message;
    arriving.cause = apic::cause_of(source);
    unsigned taken = 0;
    for (const std::uint32_t target : targets)
        if (routed_[target]->receive(arriving, now) != apic::Acceptance::dropped) ++taken;
    return taken;
}

void Partition::assert_interrupt(const apic::InterruptMessage& message, sim::Time now) {
    std::vector<std::uint32_t> targets;
    router_.resolve(message, {}, targets);
    apic::InterruptMessage arriving = message;
    arriving.cause = apic::InterruptCause::parent;
    for (const std::uint32_t target : targets) {
        ++routed_[target]->counters().by_parent;
        routed_[target]->receive(arriving, now);
    }
}

void Partition::send(const apic::InterruptMessage& message, apic::InterruptSource source,
                     sim::Time now) {
    if (source.kind == apic::InterruptSource::Kind::processor) {
        sim::Subject who = subject();
        if (VirtualProcessor* vp = vp_by_apic_id(source.id)) {
            who = vp->subject();
            ++vp->counters().by_ipi;
        }
        hypervisor_.recorder().record(sim::EventKind::kIpi, now, who, message.vector,
                                      static_cast<std::uint64_t>(message.delivery_mode),
                                      message.destination);
    }
    deliver(message, source, now);
}

void Partition::broadcast_eoi(std::uint8_t vector, sim::Time now) {
    if (eoi_sink_ != nullptr) eoi_sink_->broadcast_eoi(vector, now);
    if (!intercepts_.apic_eoi()) return;
    for (VirtualProcessor* vp : vps())
        if (vp->ending_interrupt()) {
            vp->send_apic_eoi(vector, now);
            return;
        }
}

void Partition::gpa_space_changed() {
    hypervisor_.services().shootdown.flush_guest_physical(*this);
}

}  // namespace hvsim::hv
