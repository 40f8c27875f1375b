// Requests and completions; the start is in nvme_start.cpp.
#include "hypervisor-model/stack/disk/nvme_driver.h"

#include <algorithm>
#include <limits>

#include "devices/byte_order.h"
#include "sim/error.h"

namespace hvsim::hv::stack {

namespace spec = devices::nvme::spec;
using devices::load_le;
using devices::store_le;

namespace {

constexpr std::uint64_t kMostAddress = std::uint64_t{1} << 52;  // SDM 3A 4.1.4: MAXPHYADDR
constexpr std::uint64_t kMostBlocks = 65536;                    // NLB, 6.9
constexpr std::size_t kRangeSize = 16;                          // Dataset Management, 6.7
constexpr std::size_t kMostRanges = 256;

DiskStatus status_of(const spec::Status& status) {
    constexpr std::uint8_t kGeneric = 0, kMedia = 2;
    constexpr std::uint8_t kInternalError = 0x06;
    if (status.ok()) return DiskStatus::ok;
    if (status.type == kMedia) return DiskStatus::medium_error;
    if (status.type != kGeneric) return DiskStatus::invalid_request;
    switch (status.code) {
        case spec::status::kDataTransferError.code:
            return DiskStatus::dma_fault;
        case spec::status::kAbortRequested.code:
        case spec::status::kAbortedSqDeletion.code:
            return DiskStatus::aborted;
        case kInternalError:
            return DiskStatus::medium_error;
        default:
            return DiskStatus::invalid_request;
    }
}

void set_quad(spec::Command& command, unsigned first, std::uint64_t value) {
    command.dword[first] = static_cast<std::uint32_t>(value);
    command.dword[first + 1] = static_cast<std::uint32_t>(value >> 32);
}

spec::Command nvm_command(spec::NvmOpcode opcode, std::uint32_t nsid) {
    spec::Command command;
    command.dword[0] = static_cast<std::uint32_t>(opcode);
    command.dword[1] = nsid;
    return command;
}

bool inside(const DiskExtent& extent, const DiskProperties& disk) {
    return extent.blocks <= disk.blocks && extent.lba <= disk.blocks - extent.blocks;
}

}  // namespace

// --- requests ---

bool NvmeDriver::valid(Request& request) const {
    DiskRequest& wish = request.request;
    const DiskProperties disk = properties(wish.disk);
    if (disk.block_size == 0) return false;
    const bool changes =
        wish.operation == DiskOperation::write || wish.operation == DiskOperation::discard;
    if (changes && disk.write_protected) return false;
    for (const DiskExtent& extent : wish.extents)
        if (!inside(extent, disk)) return false;
    if (wish.operation == DiskOperation::flush) return wish.extents.empty();
    if (wish.operation == DiskOperation::discard) {
        std::erase_if(wish.extents, [](const DiskExtent& extent) { return extent.blocks == 0; });
        request.issued = wish.extents.empty();
        return disk.discard;
    }
    if (wish.extents.size() != 1) return false;
    std::erase_if(wish.segments, [](const MemorySegment& segment) { return segment.length == 0; });
    std::uint64_t left = wish.extents[0].blocks * disk.block_size;
    for (const MemorySegment& segment : wish.segments) {
        if (segment.length > left || segment.address > kMostAddress - segment.length) return false;
        left -= segment.length;
    }
    request.issued = wish.extents[0].blocks == 0;
    return left == 0;
}

void NvmeDriver::submit(DiskRequest request, std::uint64_t token) {
    ++counts_.requests;
    Request added;
    added.request = std::move(request);
    added.token = token;
    if (!ready() || !valid(added)) {
        ++counts_.refused;
        finished_.push_back({token, ready() ? DiskStatus::invalid_request : DiskStatus::not_ready});
    } else {
        const std::uint64_t id = next_request_++;
        requests_.emplace(id, std::move(added));
        waiting_.push_back(id);
        pump();
        if (!waiting_.empty()) ++counts_.waited;
    }
    deliver();
}

/// Issues what there is room for.
void NvmeDriver::pump() {
    while (!waiting_.empty()) {
        const std::uint64_t id = waiting_.front();
        Request& request = requests_.at(id);
        while (!request.issued && issue_next(id, request)) {
        }
        if (!request.issued) break;
        waiting_.pop_front();
        finish_if_over(id);
    }
    if (rung_tail_ == io_.tail) return;
    rung_tail_ = io_.tail;
    ring_submission(kIoQueue, io_);
}

/// False: no room for another command now.
bool NvmeDriver::issue_next(std::uint64_t id, Request& request) {
    switch (request.request.operation) {
        case DiskOperation::flush:
            return issue_flush(id, request);
        case DiskOperation::discard:
            return issue_discard(id, request);
        default:
            return issue_transfer(id, request);
    }
}

bool NvmeDriver::issue_transfer(std::uint64_t id, Request& request) {
    const std::uint32_t index = free_slot();
    if (index == slots_.size()) return false;
    const DiskRequest& wish = request.request;
    const bool write = wish.operation == DiskOperation::write;
    const std::uint64_t block = properties(wish.disk).block_size;
    const std::uint64_t total = wish.extents[0].blocks * block;
    const std::uint64_t most = std::min(most_bytes_, kMostBlocks * block);
    const PartLimits limits{block, most - most % block, bounce_bytes() - bounce_bytes() % block};
    TransferPart part =
        next_part(wish.segments, request.cursor, total - request.bytes_done, limits);

    Slot slot{true, id, request.parts, request.cursor, part.length, kNoBounce, 0};
    if (part.bounce) {
        slot.bounce = free_bounce();
        if (slot.bounce == bounce_used_.size()) return false;
        if (write && !copy(request, slot, true)) {
            fail(request, slot.part, DiskStatus::dma_fault);
            return true;
        }
        bounce_used_[slot.bounce] = true;
        for (std::uint64_t at = 0; at < part.length; at += sim::kPageSize)
            part.pages.push_back(bounce_buffer(slot.bounce) + at);
    }
    spec::Command command =
        nvm_command(write ? spec::NvmOpcode::write : spec::NvmOpcode::read, wish.disk);
    set_pages(command, index, part.pages);
    set_quad(command, 10, wish.extents[0].lba + request.bytes_done / block);
    command.dword[12] = static_cast<std::uint32_t>(part.length / block - 1);
    if (wish.force_unit_access) command.dword[12] |= 1u << 30;
    slots_[index] = slot;
    advance(wish.segments, request.cursor, part.length);
    request.bytes_done += part.length;
    request.issued = request.bytes_done == total;
    issue(index, command);
    return true;
}

bool NvmeDriver::issue_flush(std::uint64_t id, Request& request) {
    const std::uint32_t index = free_slot();
    if (index == slots_.size()) return false;
    slots_[index] = Slot{true, id, request.parts, {}, 0, kNoBounce, 0};
    request.issued = true;
    issue(index, nvm_command(spec::NvmOpcode::flush, request.request.disk));
    return true;
}

// 6.7: up to 256 ranges a command, each of up to 2^32 - 1 blocks.
bool NvmeDriver::issue_discard(std::uint64_t id, Request& request) {
    constexpr std::uint64_t kMostInRange = std::numeric_limits<std::uint32_t>::max();
    const std::uint32_t index = free_slot();
    if (index == slots_.size()) return false;
    const std::vector<DiskExtent>& extents = request.request.extents;
    std::vector<std::uint64_t> words;
    std::uint32_t ranges = 0;
    for (; ranges < kMostRanges && request.extent < extents.size(); ++ranges) {
        const DiskExtent& extent = extents[request.extent];
        const std::uint64_t lba = extent.lba + request.extent_done;
        const std::uint64_t blocks = std::min(extent.blocks - request.extent_done, kMostInRange);
        words.push_back(blocks << 32);  // context attributes, then the length
        words.push_back(lba);
        request.extent_done += blocks;
        if (request.extent_done != extent.blocks) continue;
        ++request.extent;
        request.extent_done = 0;
    }
    static_assert(kMostRanges * kRangeSize == sim::kPageSize);
    write_words(list_page(index), words);
    spec::Command command = nvm_command(spec::NvmOpcode::dataset_management, request.request.disk);
    set_quad(command, 6, list_page(index));
    command.dword[10] = ranges - 1;
    command.dword[11] = 1u << 2;  // AD: deallocate
    slots_[index] = Slot{true, id, request.parts, {}, 0, kNoBounce, 0};
    request.issued = request.extent == extents.size();
    issue(index, command);
    return true;
}

/// 4.3: the second entry is a page, or from three pages on a list of the others.
void NvmeDriver::set_pages(spec::Command& command, std::uint32_t slot,
                           const std::vector<std::uint64_t>& pages) {
    set_quad(command, 6, pages[0]);
    if (pages.size() == 2) set_quad(command, 8, pages[1]);
    if (pages.size() <= 2) return;
    SIM_ASSERT((pages.size() - 1) * sizeof(std::uint64_t) <= sim::kPageSize);
    write_words(list_page(slot), std::span(pages).subspan(1));
    set_quad(command, 8, list_page(slot));
    ++counts_.prp_lists;
}

/// Copies a part's data between its segments and its bounce buffer. False: root memory denies it.
bool NvmeDriver::copy(const Request& request, const Slot& slot, bool to_bounce) {
    std::array<std::uint8_t, sim::kPageSize> data;
    const std::vector<MemorySegment>& segments = request.request.segments;
    SegmentCursor at = slot.at;
    for (std::uint64_t done = 0; done < slot.length;) {
        const MemorySegment& segment = segments[at.index];
        const std::uint64_t piece =
            std::min({segment.length - at.offset, slot.length - done, sim::kPageSize});
        const std::uint64_t memory = segment.address + at.offset;
        const std::uint64_t buffer = bounce_buffer(slot.bounce) + done;
        const std::span<std::uint8_t> part = std::span(data).first(piece);
        if (!core_.read_memory(to_bounce ? memory : buffer, part) ||
            !core_.write_memory(to_bounce ? buffer : memory, part))
            return false;
        advance(segments, at, piece);
        done += piece;
    }
    counts_.bounced_bytes += slot.length;
    core_.charge(config_.page_copy_cost * ((slot.length + sim::kPageSize - 1) / sim::kPageSize));
    return true;
}

std::uint32_t NvmeDriver::free_slot() const {
    const auto free =
        std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.used; });
    return static_cast<std::uint32_t>(free - slots_.begin());
}

std::uint32_t NvmeDriver::free_bounce() const {
    const auto free = std::find(bounce_used_.begin(), bounce_used_.end(), false);
    return static_cast<std::uint32_t>(free - bounce_used_.begin());
}

/// The command of a filled slot, into the queue.
void NvmeDriver::issue(std::uint32_t slot, spec::Command command) {
    slots_[slot].issued = core_.now();
    Request& request = requests_.at(slots_[slot].request);
    ++request.parts;
    ++request.under_way;
    command.dword[0] |= slot << 16;
    put(io_, command);
    handler_.disk_issued(core_.now(), request.token, kIoQueue << 16 | slot);
    ++counts_.commands;
    core_.charge(config_.command_cost);
}

// --- completions ---

void NvmeDriver::on_interrupt() {
    ++counts_.interrupts;
    if (!take_completions()) ++counts_.empty_interrupts;
}

/// False: there was none.
bool NvmeDriver::take_completions() {
    bool any = false;
    Completion completion;
    while (ready() && take(io_, completion)) {
        complete(completion);
        any = true;
    }
    if (!any) return false;
    ring_completion(kIoQueue, io_);
    pump();
    deliver();
    return true;
}

void NvmeDriver::complete(const Completion& completion) {
    core_.charge(config_.completion_cost);
    SIM_ASSERT(completion.command < slots_.size() && slots_[completion.command].used);
    const Slot slot = slots_[completion.command];
    slots_[completion.command] = {};
    Request& request = requests_.at(slot.request);
    if (!completion.status.ok()) {
        ++counts_.failed_commands;
        fail(request, slot.part, status_of(completion.status));
    } else if (slot.bounce != kNoBounce && request.request.operation == DiskOperation::read &&
               !copy(request, slot, false)) {
        fail(request, slot.part, DiskStatus::dma_fault);
    }
    if (slot.bounce != kNoBounce) bounce_used_[slot.bounce] = false;
    --request.under_way;
    // A request that failed before it was wholly issued is still the first of those that wait.
    if (request.issued && !waiting_.empty() && waiting_.front() == slot.request)
        waiting_.pop_front();
    finish_if_over(slot.request);
}

/// Nothing more of the request is issued; the first failure in its order is its status.
void NvmeDriver::fail(Request& request, std::uint32_t part, DiskStatus status) {
    request.issued = true;
    if (part >= request.failed_part) return;
    request.failed_part = part;
    request.status = status;
}

void NvmeDriver::finish_if_over(std::uint64_t id) {
    const auto found = requests_.find(id);
    const Request& request = found->second;
    if (!request.issued || request.under_way != 0) return;
    finished_.push_back({request.token, request.status});
    requests_.erase(found);
}

/// Tells what is over, in order; a handler that submits from within is served by the outer call.
void NvmeDriver::deliver() {
    if (delivering_) return;
    delivering_ = true;
    while (!finished_.empty()) {
        const Finished finished = finished_.front();
        finished_.pop_front();
        handler_.disk_completed(core_.now(), finished.token, finished.status);
    }
    delivering_ = false;
}

void NvmeDriver::abandon_all() {
    for (const auto& [id, request] : requests_)
        finished_.push_back({request.token, DiskStatus::not_ready});
    requests_.clear();
    waiting_.clear();
    std::fill(slots_.begin(), slots_.end(), Slot{});
    std::fill(bounce_used_.begin(), bounce_used_.end(), false);
}

// --- queues ---

void NvmeDriver::put(Queue& queue, const spec::Command& command) {
    std::array<std::uint8_t, spec::kSubmissionSize> entry;
    for (std::size_t i = 0; i < command.dword.size(); ++i)
        store_le<std::uint32_t>(entry, i * 4, command.dword[i]);
    SIM_ASSERT(core_.write_memory(queue.submission + queue.tail * spec::kSubmissionSize, entry));
    queue.tail = (queue.tail + 1) % queue.entries;
}

/// The next completion entry if the controller has written one (4.6: its phase tag tells).
bool NvmeDriver::take(Queue& queue, Completion& completion) {
    std::array<std::uint8_t, spec::kCompletionSize> entry;
    SIM_ASSERT(core_.read_memory(queue.completion + queue.head * spec::kCompletionSize, entry));
    const auto last = load_le<std::uint16_t>(entry, 14);
    if (sim::bit(last, 0) != queue.phase) return false;
    completion.result = load_le<std::uint32_t>(entry, 0);
    completion.command = load_le<std::uint16_t>(entry, 12);
    completion.status = {static_cast<std::uint8_t>(sim::Bits<11, 9>::get(last)),
                         static_cast<std::uint8_t>(sim::Bits<8, 1>::get(last)), sim::bit(last, 15)};
    queue.head = (queue.head + 1) % queue.entries;
    if (queue.head == 0) queue.phase = !queue.phase;
    return true;
}

void NvmeDriver::ring_submission(unsigned queue, const Queue& state) {
    ++counts_.doorbells;
    write_register(spec::kDoorbells + 8 * queue, 4, state.tail);
}

void NvmeDriver::ring_completion(unsigned queue, const Queue& state) {
    ++counts_.doorbells;
    write_register(spec::kDoorbells + 8 * queue + spec::kDoorbellSize, 4, state.head);
}

void NvmeDriver::write_words(std::uint64_t address, std::span<const std::uint64_t> words) {
    std::vector<std::uint8_t> bytes(words.size_bytes());
    for (std::size_t i = 0; i < words.size(); ++i)
        store_le<std::uint64_t>(bytes, i * sizeof(std::uint64_t), words[i]);
    SIM_ASSERT(core_.write_memory(address, bytes));
}

std::uint64_t NvmeDriver::read_register(std::uint32_t offset, unsigned size) {
    return core_.read_device(config_.registers + offset, size);
}

void NvmeDriver::write_register(std::uint32_t offset, unsigned size, std::uint64_t value) {
    core_.write_device(config_.registers + offset, size, value);
}

std::vector<std::uint32_t> NvmeDriver::disks() const {
    std::vector<std::uint32_t> ids;
    for (const auto& [id, disk] : disks_) ids.push_back(id);
    return ids;
}

DiskProperties NvmeDriver::properties(std::uint32_t disk) const {
    const auto found = disks_.find(disk);
    return found == disks_.end() ? DiskProperties{} : found->second;
}

void NvmeDriver::collect(sim::StatisticsSink& sink) const {
    const auto count = [&sink](std::string_view name, std::uint64_t value, std::string_view what) {
        sink.add(name, value, "count", what);
    };
    count("root.nvme.requests", counts_.requests, "requests submitted");
    count("root.nvme.refused", counts_.refused, "requests refused without a command");
    count("root.nvme.waited", counts_.waited, "requests that found no room at once");
    count("root.nvme.commands", counts_.commands, "I/O commands issued");
    count("root.nvme.failed_commands", counts_.failed_commands, "I/O commands that failed");
    count("root.nvme.prp_lists", counts_.prp_lists, "commands with a PRP list");
    sink.add("root.nvme.bounced_bytes", counts_.bounced_bytes, "bytes",
             "data copied because PRPs cannot express where it lies");
    count("root.nvme.doorbells", counts_.doorbells, "doorbell writes");
    count("root.nvme.interrupts", counts_.interrupts, "interrupts taken");
    count("root.nvme.empty_interrupts", counts_.empty_interrupts,
          "interrupts without a completion");
    count("root.nvme.stops", counts_.stops, "times that the controller had stopped by itself");
    count("root.nvme.timeouts", counts_.timeouts, "times that a command was overdue");
    count("root.nvme.starts", counts_.starts, "times that the controller was set up");
}

}  // namespace hvsim::hv::stack
