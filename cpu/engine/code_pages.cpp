#include "cpu/engine/code_pages.h"

#include <sys/mman.h>

#include <algorithm>

#include "sim/error.h"

namespace hvsim::cpu::engine {

PageBytes::PageBytes(std::uint64_t bytes) : bytes_(std::max(bytes, sim::kPageSize)) {
    data_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data_ == MAP_FAILED)
        throw sim::ConfigError("cannot reserve host memory for an engine's page tables",
                               "lower the scenario's host.ram");
}

PageBytes::~PageBytes() {
    ::munmap(data_, bytes_);
}

CodePages::CodePages(sim::Ram& ram) : ram_(ram), maybe_written_(ram.end() >> sim::kPageShift) {
    ram_.set_code_write_observer(this);
}

CodePages::~CodePages() {
    ram_.set_code_write_observer(nullptr);
}

void CodePages::remove(CodeHolder& engine) {
    std::erase(engines_, &engine);
}

void CodePages::will_execute(CodeHolder& engine, std::uint64_t page) {
    if (maybe_written_[page] != 0) {
        for (CodeHolder* other : engines_)
            if (other->write_epoch[page] == other->epoch) other->empty_tlb();
        maybe_written_[page] = 0;
    }
    engine.holds_code[page] = 1;
    ram_.set_code_page(page, true);
}

bool CodePages::may_write(CodeHolder& engine, std::uint64_t page, bool now) {
    if (ram_.is_code_page(page)) {
        if (!now) return false;
        drop(page);
    }
    engine.write_epoch[page] = engine.epoch;
    maybe_written_[page] = 1;
    return true;
}

void CodePages::drop(std::uint64_t page) {
    for (CodeHolder* engine : engines_) {
        if (engine->holds_code[page] == 0) continue;
        engine->drop_code(page);
        // Its executable entry goes too: the next fetch must ask, and mark the page again.
        engine->empty_tlb();
        engine->holds_code[page] = 0;
    }
    ram_.set_code_page(page, false);
}

}  // namespace hvsim::cpu::engine
