#include "hypervisor-model/memory_pool.h"

#include <algorithm>

#include "sim/error.h"

namespace hvsim::hv {

std::optional<PoolPage> MemoryPool::withdraw(PartitionId depositor) {
    const auto found = std::find_if(free_.rbegin(), free_.rend(), [&](const PoolPage& page) {
        return page.depositor == depositor;
    });
    if (found == free_.rend()) return std::nullopt;
    const PoolPage page = *found;
    free_.erase(std::next(found).base());
    ram_.fill(page.system_page << sim::kPageShift, sim::kPageSize, 0);
    return page;
}

std::optional<std::uint64_t> MemoryPool::allocate() {
    if (free_.empty()) return std::nullopt;
    const PoolPage page = free_.back();
    free_.pop_back();
    used_.emplace(page.system_page, page);
    ram_.fill(page.system_page << sim::kPageShift, sim::kPageSize, 0);
    return page.system_page;
}

bool MemoryPool::allocate(std::size_t count, std::vector<std::uint64_t>& pages) {
    if (free_.size() < count) return false;
    for (std::size_t i = 0; i < count; ++i) pages.push_back(*allocate());
    return true;
}

void MemoryPool::release(std::uint64_t system_page) {
    const auto found = used_.find(system_page);
    SIM_ASSERT(found != used_.end());
    free_.push_back(found->second);
    used_.erase(found);
}

bool MemoryPool::charge(PoolObject object) {
    ObjectPages& objects = objects_[static_cast<std::size_t>(object)];
    if (objects.live == objects.pages.size() * objects_per_page(object)) {
        const std::optional<std::uint64_t> page = allocate();
        if (!page) return false;
        objects.pages.push_back(*page);
    }
    ++objects.live;
    return true;
}

void MemoryPool::refund(PoolObject object) {
    ObjectPages& objects = objects_[static_cast<std::size_t>(object)];
    SIM_ASSERT(objects.live > 0);
    --objects.live;
    const std::size_t needed =
        (objects.live + objects_per_page(object) - 1) / objects_per_page(object);
    while (objects.pages.size() > needed) {
        release(objects.pages.back());
        objects.pages.pop_back();
    }
}

}  // namespace hvsim::hv
