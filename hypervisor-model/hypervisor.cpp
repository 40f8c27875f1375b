#include "hypervisor-model/hypervisor.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/error.h"

namespace hvsim::hv {

Hypervisor::Hypervisor(const HypervisorConfig& config, const HypervisorServices& services)
    : config_(config), services_(services), pages_(services.ram) {
    const std::uint64_t first = config.first_reserved_page;
    const std::uint64_t end = first + config.reserved_pages;
    const std::vector<sim::RamPiece> pieces = services.ram.pieces();
    const auto holds_own = [&](const sim::RamPiece& piece) {
        return first >= sim::page_of(piece.base) && end <= sim::page_of(piece.end());
    };
    if (config.reserved_pages < kMinimumReservedPages || end < first ||
        std::none_of(pieces.begin(), pieces.end(), holds_own))
        throw sim::ConfigError(fmt::format(
            "the hypervisor's own memory (page {} and {} more) must be at least {} "
            "pages inside the system's {} MiB",
            first, config.reserved_pages, kMinimumReservedPages, services.ram.size() >> 20));
    if (config.max_vps == 0 || config.max_vps > 2048)
        throw sim::ConfigError("a partition has 1 to 2048 virtual processors");

    const PartitionId id = next_id_++;
    auto root = std::make_unique<Partition>(*this, id, kInvalidPartition, 0, config.root_features,
                                            sim::Time{0});
    for (std::uint64_t page = end; page-- > first;) {
        pages_.give_to_hypervisor(page);
        root->pool().deposit({page, kInvalidPartition, 0});
    }
    Partition& partition = *partitions_.emplace(id, std::move(root)).first->second;
    HvStatus status = partition.initialize(0);
    GpaSpace& space = partition.gpa_space();
    const auto map_identity = [&](std::uint64_t from, std::uint64_t to) {
        if (status == HvStatus::success && from < to)
            status = space.map_range(from, {from, {}, true}, to - from);
    };
    for (const sim::RamPiece& piece : pieces) {
        const std::uint64_t from = sim::page_of(piece.base), to = sim::page_of(piece.end());
        if (holds_own(piece)) {
            map_identity(from, first);
            map_identity(end, to);
        } else {
            map_identity(from, to);
        }
    }
    if (status != HvStatus::success)
        throw sim::ConfigError("the hypervisor's own memory is too small for the root partition",
                               "raise the number of reserved pages");
}

Hypervisor::~Hypervisor() {
    // Children first: they hold pages of their parents' pools.
    while (!partitions_.empty()) partitions_.erase(std::prev(partitions_.end()));
}

Partition* Hypervisor::find(PartitionId id) {
    const auto found = partitions_.find(id);
    return found == partitions_.end() ? nullptr : found->second.get();
}

std::vector<Partition*> Hypervisor::partitions() const {
    std::vector<Partition*> list;
    for (const auto& [id, partition] : partitions_) list.push_back(partition.get());
    return list;
}

HvStatus Hypervisor::create_partition(Partition& parent, Partition*& created, sim::Time now) {
    if (parent.depth() >= config_.max_depth) return HvStatus::partition_too_deep;
    const std::optional<std::uint64_t> page = parent.pool().allocate();
    if (!page) return HvStatus::insufficient_memory;
    const PartitionId id = next_id_++;
    auto partition = std::make_unique<Partition>(*this, id, parent.id(), parent.depth() + 1,
                                                 config_.guest_features, now);
    partition->parent_page_ = *page;
    created = partition.get();
    partitions_.emplace(id, std::move(partition));
    created->set_state(PartitionState::created, now);
    return HvStatus::success;
}

HvStatus Hypervisor::delete_partition(Partition& partition, sim::Time now) {
    if (partition.is_root()) return HvStatus::operation_denied;
    if (partition.active()) return HvStatus::invalid_partition_state;
    if (next_child(partition.id(), kInvalidPartition) != kInvalidPartition)
        return HvStatus::object_in_use;
    if (partition.pool().available() + partition.pool().in_use() != 0)
        return HvStatus::object_in_use;
    find(partition.parent())->pool().release(partition.parent_page_);
    partition.set_state(PartitionState::deleted, now);
    partitions_.erase(partition.id());
    return HvStatus::success;
}

PartitionId Hypervisor::next_child(PartitionId parent, PartitionId previous) const {
    for (auto it = partitions_.upper_bound(previous); it != partitions_.end(); ++it)
        if (it->second->parent() == parent) return it->first;
    return kInvalidPartition;
}

void Hypervisor::collect(sim::StatisticsSink& sink) const {
    for (const auto& [id, partition] : partitions_) partition->collect(sink);
}

}  // namespace hvsim::hv
