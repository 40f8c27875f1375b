#pragma once
// Which pages of system memory hold translated code, and which an engine may write without asking.
// The rule, per physical page: no TLB entry of any engine is writable while some engine holds
// translated code of the page. A page that has code loses it, in all engines, before a write is
// granted; a page that may be written is taken out of the writers' TLBs before code is translated
// from it.
//
// The library's own tracking is not enough: it protects only the virtual address that it
// translated, and 2.1.1 keeps stale blocks of a page that is writable and executable at once.
#include <cstdint>
#include <vector>

#include "cpu/engine/engine.h"
#include "sim/ram.h"

namespace hvsim::cpu::engine {

/// One zeroed element a page of memory; pages never touched take no host memory.
template <typename T>
class PageTable;

class PageBytes {
  public:
    explicit PageBytes(std::uint64_t bytes);
    ~PageBytes();
    PageBytes(const PageBytes&) = delete;
    PageBytes& operator=(const PageBytes&) = delete;
    void* data() noexcept { return data_; }

  private:
    std::uint64_t bytes_;
    void* data_;
};

template <typename T>
class PageTable {
  public:
    explicit PageTable(std::uint64_t pages) : bytes_(pages * sizeof(T)) {}
    T& operator[](std::uint64_t page) noexcept { return static_cast<T*>(bytes_.data())[page]; }

  private:
    PageBytes bytes_;
};

/// An engine's part of the bookkeeping.
class CodeHolder {
  public:
    explicit CodeHolder(std::uint64_t pages) : holds_code(pages), write_epoch(pages) {}
    virtual ~CodeHolder() = default;
    /// Drops the translated blocks of `page`.
    virtual void drop_code(std::uint64_t page) = 0;
    /// Empties the TLB; afterwards epoch() is another one.
    virtual void empty_tlb() = 0;

    PageTable<std::uint8_t> holds_code;
    PageTable<std::uint32_t>
        write_epoch;  ///< a TLB epoch in which the page was granted for writing
    std::uint32_t epoch = 1;
};

class CodePages final : public sim::CodeWriteObserver {
  public:
    explicit CodePages(sim::Ram& ram);
    ~CodePages() override;
    CodePages(const CodePages&) = delete;
    CodePages& operator=(const CodePages&) = delete;

    void add(CodeHolder& engine) { engines_.push_back(&engine); }
    void remove(CodeHolder& engine);

    /// `engine` is about to translate code of `page`.
    void will_execute(CodeHolder& engine, std::uint64_t page);
    /// Whether `engine` may enter `page` as writable into its TLB. `now`: it is about to write.
    bool may_write(CodeHolder& engine, std::uint64_t page, bool now);
    /// A model changes bytes of the page.
    void code_page_written(std::uint64_t page) override { drop(page); }

  private:
    void drop(std::uint64_t page);

    sim::Ram& ram_;
    PageTable<std::uint8_t> maybe_written_;
    std::vector<CodeHolder*> engines_;
};

}  // namespace hvsim::cpu::engine
